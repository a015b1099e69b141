// The Draw room: digits come out of noise, step by step.
import { isAbort, ServerGone } from './api.js';
import { openDetail } from './detail.js';
import { element, emptyState, errorState } from './dom.js';
import { Drawing } from './drawing.js';
import { Gallery } from './gallery.js';
import { canvasOf } from './image.js';
import { openMorph } from './morph.js';
import { picturesOf } from './picture.js';
import { Prompt } from './prompt.js';
import { Screen } from './screen.js';
import { Controls } from './settings.js';

/** @typedef {import('./picture.js').Picture} Picture */

/** A moved slider keeps the images before for this time at most, until the new ones are finished. */
const HOLD_MS = 600;
/** While a slider moves, a drawing may take this time before the next one ends it: quick drawings are all seen. */
const GRACE_MS = 300;

/**
 * @param {HTMLElement} section the room's place in the page
 * @param {{model: any, announce: (text: string) => void}} page
 */
export function mount(section, { model, announce }) {
  const room = new Room(model, announce);
  section.classList.add('draw');
  section.append(room.stage, room.controls.root, room.gallery.root);
  room.prompt.listen(section);
  room.draw();
}

class Room {
  /** @param {any} model @param {(text: string) => void} announce */
  constructor(model, announce) {
    const onopen = (/** @type {Picture} */ picture) => this.#open(picture);
    this.#model = model;
    this.#announce = announce;
    this.prompt = new Prompt(model.class_names, () => this.draw());
    this.controls = new Controls(model, (why) => this.#redraw(why === 'settings' ? HOLD_MS : 0));
    this.gallery = new Gallery({ onopen, announce });
    this.#screen = new Screen(model.image_size, { onopen, onkeep: (pictures) => this.gallery.keep(pictures) });
    this.#screen.wall.resize(this.controls.images, this.prompt.layout(this.controls.images).columns);
    this.stage = element(
      'div.stage',
      {},
      this.prompt.root,
      this.#message,
      this.#asking,
      this.#screen.root,
      this.#status,
    );
    document.addEventListener('keydown', (event) => event.key === 'Escape' && this.#ask(null));
  }

  #model;
  #announce;
  #screen;
  #message = element('div.message');
  #asking = element('div.message');
  #status = element('p.status.muted.small');
  /** @type {Drawing | null} the newest */
  #drawing = null;
  /** @type {Picture | null} the image that becomes the next one that is chosen */
  #start = null;
  /** @type {(() => void) | null} the drawing that waits for this one */
  #next = null;
  #timer = 0;
  #began = 0;

  /** Draw again once the drawing before has ended, or has taken its time. @param {number} holdMs */
  #redraw(holdMs) {
    clearTimeout(this.#timer);
    this.#next = () => this.draw(holdMs);
    const isDrawing = this.#drawing !== null && this.#drawing.drawn === null;
    this.#timer = setTimeout(this.#next, isDrawing ? Math.max(0, this.#began + GRACE_MS - performance.now()) : 0);
  }

  /** Draw what the prompt says; the drawing before ends. @param {number} [holdMs] how long the images before stay */
  async draw(holdMs = 0) {
    clearTimeout(this.#timer);
    this.#next = null;
    this.#drawing?.abort();
    if (!this.prompt.text) return this.#rest(emptyState('Nothing to draw', 'Type what is to be drawn.'));
    this.#say();
    this.#began = performance.now();
    const { n, columns } = this.prompt.layout(this.controls.images);
    const drawing = new Drawing({ ...this.prompt.request, n, seed: this.controls.seed, ...this.controls.given });
    this.#drawing = drawing;
    this.#screen.expect(drawing);
    try {
      await drawing.run({
        onqueue: (position) => this.#queued(position),
        onframe: () => this.#frame(drawing, columns, holdMs),
      });
      this.#finished(drawing);
    } catch (error) {
      if (isAbort(error) || drawing !== this.#drawing) return undefined;
      this.#rest(...(error instanceof ServerGone ? [] : [errorState(error)])); // the frame of the page says that
    }
    return undefined;
  }

  /** @param {Drawing} drawing a frame of it has arrived @param {number} columns @param {number} holdMs */
  #frame(drawing, columns, holdMs) {
    if (drawing !== this.#drawing || drawing.frames.length === 0) return;
    if (this.#screen.shows(drawing)) this.#screen.grow();
    else this.#screen.begin(drawing, columns, holdMs);
  }

  /** @param {Drawing} drawing */
  #finished(drawing) {
    if (!drawing.drawn || drawing !== this.#drawing) return;
    const { labels } = drawing.drawn;
    this.#screen.finish(
      picturesOf(drawing.drawn, drawing.frames[drawing.frames.length - 1].x_t, this.#model.image_size),
    );
    this.#status.replaceChildren(...this.#summary(drawing));
    this.#announce(labels.length === 1 ? 'One image is drawn.' : `${labels.length} images are drawn.`);
    this.#next?.();
  }

  /** @param {Drawing} drawing @returns {(Node | string)[]} which model drew, and what it cost */
  #summary({ drawn }) {
    if (!drawn) return [];
    const images = drawn.labels.length === 1 ? '1 image' : `${drawn.labels.length} images`;
    const times = drawn.evaluations;
    return [
      element('code', {}, drawn.model),
      `: ${images} in ${drawn.seconds.toFixed(2)} s, ${times === 1 ? '1 evaluation' : `${times} evaluations`} each`,
    ];
  }

  /** @param {number} position how many drawings are before this one */
  #queued(position) {
    if (position === 0) this.#status.textContent = 'Drawing …';
    else
      this.#status.textContent =
        position === 1
          ? 'Waiting: one computation is before this one.'
          : `Waiting: ${position} computations are before this one.`;
  }

  /** Nothing is being drawn. @param {...HTMLElement} blocks that say why */
  #rest(...blocks) {
    this.#drawing = null;
    this.#screen.expect(null);
    this.#say(...blocks);
  }

  /** @param {...HTMLElement} blocks shown above the images; none removes them */
  #say(...blocks) {
    this.#message.replaceChildren(...blocks);
  }

  /** @param {Picture} picture */
  #open(picture) {
    if (this.#start) {
      openMorph(this.#start, picture, this.#announce);
      return this.#ask(null);
    }
    return openDetail(picture, {
      announce: this.#announce,
      isKept: this.gallery.has(picture),
      onkeep: () => this.gallery.toggle(picture),
      onmorph: () => this.#ask(picture),
    });
  }

  /** Ask for the image that this one becomes. @param {Picture | null} start null asks no more */
  #ask(start) {
    if (!start && !this.#start) return;
    this.#start = start;
    if (!start) return this.#asking.replaceChildren();
    const cancel = element('button', { type: 'button', onclick: () => this.#ask(null) }, 'Cancel');
    const sentence = `Choose the image that ${start.title} becomes, here or in the gallery.`;
    this.#asking.replaceChildren(
      element('div.asking.panel', {}, canvasOf(start.pixels, start.size), element('p', {}, sentence), cancel),
    );
    this.#announce(sentence);
    return cancel.focus();
  }
}
