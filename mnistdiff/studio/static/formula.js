// Equations as text: single letters are variables, `_` sets a subscript.
import { element } from './dom.js';

const TOKEN = /(\p{L}\p{M}*)(?![\p{L}])(?:_([\p{L}\p{Nd}∅]+))?|\p{L}[\p{L}\p{M}]+|[^\p{L}]+/gu;

/** @param {string} text such as `x_t = α_t x_0 + σ_t ε` @returns {HTMLElement} */
export function formula(text) {
  const parts = [...text.matchAll(TOKEN)].flatMap(([whole, variable, below]) => {
    if (!variable) return [whole];
    return [element('var', {}, variable), ...(below ? [element('sub', {}, below)] : [])];
  });
  return element('span.formula', {}, ...parts);
}
