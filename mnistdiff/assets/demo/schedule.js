/** The noise schedule. */

/** The coefficients of x_t = alpha x_0 + sigma eps, in float64 (`engine/diffusion/schedule.py`). */
export class Schedule {
  /**
   * @param {Float64Array} alphas
   * @param {Float64Array} sigmas
   */
  constructor(alphas, sigmas) {
    this.alphas = alphas;
    this.sigmas = sigmas;
    this.timesteps = alphas.length;
  }

  /** @param {number} t @returns {number} coefficient of the image; 1 for t = -1, the clean image */
  alpha(t) {
    return t < 0 ? 1 : this.alphas[t];
  }

  /** @param {number} t @returns {number} coefficient of the noise; 0 for t = -1 */
  sigma(t) {
    return t < 0 ? 0 : this.sigmas[t];
  }

  /** @param {number} t @returns {number} lambda = log(alpha / sigma) */
  halfLogSnr(t) {
    return Math.log(this.alpha(t)) - Math.log(this.sigma(t));
  }

  /** @param {number} t @returns {number} the signal-to-noise ratio */
  snr(t) {
    return (this.alpha(t) / this.sigma(t)) ** 2;
  }

  /**
   * Coefficients of x_(t_prev) and of fresh noise in x_t.
   * @param {number} t
   * @param {number} tPrev
   * @returns {[number, number]}
   */
  transition(t, tPrev) {
    const alpha = this.alpha(t) / this.alpha(tPrev);
    return [alpha, Math.sqrt(Math.max(this.sigma(t) ** 2 - (alpha * this.sigma(tPrev)) ** 2, 0))];
  }

  /**
   * The pairs [t, t_prev] of a sampler's steps, down to the clean image (-1).
   * @param {number} steps 1 ... timesteps
   * @param {'even' | 'trailing'} spacing
   * @returns {[number, number][]}
   */
  inferenceTimesteps(steps, spacing) {
    const T = this.timesteps;
    const t = Array.from({ length: steps }, (_, i) => {
      if (spacing === 'trailing') return Math.floor(T - i * (T / steps) - 1 + 0.5);
      return steps === 1 ? T - 1 : Math.floor(T - 1 - i * ((T - 1) / (steps - 1)) + 0.5);
    });
    return t.map((each, i) => [each, i + 1 < steps ? t[i + 1] : -1]);
  }
}
