// A modal dialog with a heading and a button that closes it; and a command that can be copied.
import { element } from './dom.js';

/**
 * Open a dialog. Escape, its button and a click beside it close it; it leaves the page then.
 * @param {string} title
 * @param {(Node | string)[]} content
 * @param {() => void} [onclose]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, content, onclose = () => {}) {
  const close = element(
    'button.quiet.close',
    { type: 'button', 'aria-label': 'Close', onclick: () => dialog.close() },
    '✕',
  );
  const heading = element('h2', { id: 'dialog-title' }, title);
  const dialog = /** @type {HTMLDialogElement} */ (
    element(
      'dialog',
      { 'aria-labelledby': 'dialog-title' },
      element('div.body', {}, element('div.tools', {}, heading, element('span.rest'), close), ...content),
    )
  );
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    onclose();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * @param {string} command
 * @param {(text: string) => void} announce
 * @returns {HTMLElement} the command with a button that copies it
 */
export function commandLine(command, announce) {
  const text = element(
    'code',
    { tabindex: 0, role: 'textbox', 'aria-readonly': 'true', 'aria-label': 'Command' },
    ...command.split(' ').flatMap((word) => [element('span', {}, word), ' ']),
  );
  const button = element('button.quiet', { type: 'button' }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = 'Copied';
      announce('The command is copied.');
    } catch {
      getSelection()?.selectAllChildren(text); // no clipboard without HTTPS but on this machine: the user copies it
    }
  });
  return element('div.command', {}, text, button);
}
