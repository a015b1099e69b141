import { emptyState } from './dom.js';

/**
 * @param {HTMLElement} section the room's place in the page
 * @param {{model: any, announce: (text: string) => void}} page what `/api/model` says; `announce` speaks to a screen reader
 * @returns {{show?: () => void, hide?: () => void} | void}
 */
export function mount(section, { model, announce }) {
  section.append(emptyState('This room is empty.'));
}
