/** The command that samples the same image. */

/**
 * @param {import('./model.js').Facts} facts
 * @param {import('./model.js').Settings} settings
 * @param {number} label
 * @param {number} seed
 */
export function commandOf(facts, settings, label, seed) {
  const {
    sampler,
    steps,
    guidance,
    guidance_interval: [start, stop],
  } = settings;
  const usual = facts.sampling;
  const isGuided = guidance !== usual.guidance; // with a guidance scale of its own, a command has other defaults
  const words = ['mnistdiff sample', `-c ${facts.checkpoint}`, facts.options[label], `--seed ${seed}`];
  if (isGuided || sampler !== usual.sampler) words.push(`--sampler ${sampler}`);
  if (isGuided || steps !== usual.steps) words.push(`--steps ${steps}`);
  if (isGuided) words.push(`--guidance ${guidance}`);
  if (isGuided && guidance > 1 && stop - start < 1) words.push(`--guidance-interval ${start}:${stop}`);
  return words.join(' ');
}
