/*
 * The query editor proper: CodeMirror with the colours of lib/query.ts and the suggestions of
 * lib/suggest.ts. Loaded when the page is there already; until then a text area does.
 *
 * Enter runs the query and Shift+Enter begins a line; Up on the first line and Down on the last
 * walk through earlier queries. Tab takes a suggestion while some are shown and otherwise leaves
 * the editor, as everywhere on the page.
 */
import './styles';
import {
  acceptCompletion,
  autocompletion,
  closeCompletion,
  completionKeymap,
  completionStatus,
  moveCompletionSelection,
  pickedCompletion,
  selectedCompletion,
  startCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewline } from '@codemirror/commands';
import { bracketMatching } from '@codemirror/language';
import {
  EditorState,
  Prec,
  StateEffect,
  StateField,
  type Extension,
  type Range,
} from '@codemirror/state';
import {
  Decoration,
  EditorView,
  keymap,
  placeholder,
  tooltips,
  WidgetType,
  type DecorationSet,
} from '@codemirror/view';
import { pieces, type WrongPlace } from '../lib/query';
import { suggest, type Known, type Suggestion } from '../lib/suggest';
import { theme } from './theme';

export interface EditorOptions {
  parent: HTMLElement;
  text: string;
  selection: { from: number; to: number };
  placeholder: string;
  /** Somebody is typing already. */
  typing: boolean;
  known: () => Known;
  onchange: (text: string) => void;
  onrun: () => void;
  onfocus: () => void;
  /** Somebody has typed: earlier queries begin with the latest again. */
  onedit: () => void;
  /** The query to show instead, if there is one. */
  older: (current: string) => string | null;
  newer: () => string | null;
}

export interface QueryView {
  setText: (text: string) => void;
  setWrong: (wrong: WrongPlace | null, describedBy: string | undefined) => void;
  /** What can be suggested has changed: offers it at once if somebody types here. */
  knownChanged: () => void;
  focus: () => void;
  destroy: () => void;
}

interface Wrong {
  place: WrongPlace | null;
  describedBy: string | undefined;
}

const setWrong = StateEffect.define<Wrong>();
const RECALLED = 'recall';

/** Until something is typed again: the server says anew what is wrong then. */
const wrongField = StateField.define<Wrong>({
  create: () => ({ place: null, describedBy: undefined }),
  update(value, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setWrong)) {
        return effect.value;
      }
    }
    return transaction.docChanged ? { ...value, place: null } : value;
  },
});

/** Something was expected where nothing is: a space carries the mark. */
class Missing extends WidgetType {
  toDOM(): HTMLElement {
    const space = document.createElement('span');
    space.className = 'bad';
    space.textContent = '\u00a0';
    return space;
  }

  override eq(): boolean {
    return true;
  }
}

const missing = Decoration.widget({ widget: new Missing(), side: 1 });
const wrongMark = Decoration.mark({ class: 'bad' });
const marks = new Map<string, Decoration>();

function markOf(kind: string): Decoration {
  const known = marks.get(kind) ?? Decoration.mark({ class: `tok-${kind}` });
  marks.set(kind, known);
  return known;
}

function decorate(state: EditorState): DecorationSet {
  const found: Range<Decoration>[] = [];
  const text = state.doc.toString();
  const { place } = state.field(wrongField);
  let at = 0;
  for (const piece of pieces(text, place)) {
    const end = at + piece.text.length;
    if (at >= text.length) {
      found.push(missing.range(text.length));
      break;
    }
    if (piece.kind !== 'space' && piece.kind !== 'word') {
      found.push(markOf(piece.kind).range(at, end));
    }
    if (piece.wrong) {
      found.push(wrongMark.range(at, end));
    }
    at = end;
  }
  return Decoration.set(found, true);
}

const colours = StateField.define<DecorationSet>({
  create: decorate,
  update(value, transaction) {
    const told = transaction.effects.some((effect) => effect.is(setWrong));
    return transaction.docChanged || told ? decorate(transaction.state) : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function completionOf(item: Suggestion, order: number): Completion {
  const { kind, text, hint, insert, help } = item;
  return {
    label: text,
    detail: hint,
    type: kind,
    boost: -order,
    apply: (view, completion, from, to) => {
      const put = insert ?? text;
      view.dispatch({
        changes: { from, to, insert: put },
        selection: { anchor: from + put.length },
        annotations: pickedCompletion.of(completion),
        userEvent: 'input.complete',
        scrollIntoView: true,
      });
      if (put.endsWith('=')) {
        startCompletion(view);
      }
    },
    ...(help === undefined ? {} : { info: () => helpBox(help) }),
  };
}

function helpBox(help: string): HTMLElement {
  const box = document.createElement('div');
  box.className = 'usage';
  box.textContent = help;
  return box;
}

function source(known: () => Known) {
  return (context: CompletionContext): CompletionResult | null => {
    const text = context.state.doc.toString();
    const found = suggest(text, context.pos, known());
    return found === null
      ? null
      : { from: found.from, options: found.items.map(completionOf), filter: false };
  };
}

const ACCEPT_AGAIN_MS = 20;
const ACCEPT_TRIES = 15;

/**
 * The one that is chosen, or the first. While the list is looked for, a fast Tab waits for it rather
 * than to leave the editor.
 */
function accept(view: EditorView, tries = ACCEPT_TRIES): boolean {
  const status = completionStatus(view.state);
  if (status === 'pending' && tries > 0) {
    setTimeout(() => accept(view, tries - 1), ACCEPT_AGAIN_MS);
    return true;
  }
  if (status !== 'active') {
    return false;
  }
  if (selectedCompletion(view.state) === null) {
    moveCompletionSelection(true)(view);
  }
  return acceptCompletion(view);
}

function replaceAll(view: EditorView, text: string, userEvent: string): void {
  view.dispatch({
    changes: { from: 0, to: view.state.doc.length, insert: text },
    selection: { anchor: text.length },
    userEvent,
    scrollIntoView: true,
  });
}

function recall(options: EditorOptions, back: boolean) {
  return (view: EditorView): boolean => {
    const { state } = view;
    const { main } = state.selection;
    const line = state.doc.lineAt(main.head).number;
    if (!main.empty || line !== (back ? 1 : state.doc.lines)) {
      return false;
    }
    // A long line that is wrapped is walked through first.
    const moved = view.moveVertically(main, !back);
    const edge = back ? 0 : state.doc.length;
    const [here, there] = [view.coordsAtPos(main.head), view.coordsAtPos(moved.head)];
    if (moved.head !== edge && here && there && Math.abs(here.top - there.top) > 2) {
      return false;
    }
    const text = back ? options.older(state.doc.toString()) : options.newer();
    if (text === null) {
      return false;
    }
    closeCompletion(view);
    replaceAll(view, text, RECALLED);
    return true;
  };
}

function keys(options: EditorOptions): Extension {
  const run = (view: EditorView): boolean => {
    closeCompletion(view);
    options.onrun();
    return true;
  };
  return [
    Prec.highest(
      keymap.of([
        { key: 'Mod-Enter', run },
        {
          key: 'Enter',
          run: (view) => (selectedCompletion(view.state) ? acceptCompletion(view) : run(view)),
          shift: insertNewline,
        },
        { key: 'Tab', run: (view) => accept(view) },
      ]),
    ),
    keymap.of([
      ...completionKeymap,
      { key: 'ArrowUp', run: recall(options, true) },
      { key: 'ArrowDown', run: recall(options, false) },
      ...historyKeymap,
      ...defaultKeymap.filter(({ key }) => key !== 'Enter' && key !== 'Mod-Enter'),
    ]),
  ];
}

/** What the text takes the place of: the browser knows of a new selection a moment before us. */
function replaced(event: InputEvent, view: EditorView): { from: number; to: number } {
  const range = event.getTargetRanges()[0];
  if (!range || !view.contentDOM.contains(range.startContainer)) {
    return view.state.selection.main;
  }
  const ends = [
    view.posAtDOM(range.startContainer, range.startOffset),
    view.posAtDOM(range.endContainer, range.endOffset),
  ];
  return { from: Math.min(...ends), to: Math.max(...ends) };
}

/**
 * Typed text is put in by us, not by the browser: replacing coloured text the browser would carry
 * its colours over with inline styles, which the Content-Security-Policy forbids.
 */
const typing = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data, inputType, isComposing } = event;
    if (inputType !== 'insertText' || data === null || isComposing || view.composing) {
      return false;
    }
    event.preventDefault();
    const { from, to } = replaced(event, view);
    view.dispatch({
      changes: { from, to, insert: data },
      selection: { anchor: from + data.length },
      userEvent: 'input.type',
      scrollIntoView: true,
    });
    return true;
  },
});

export function openEditor(options: EditorOptions): QueryView {
  let wanted = options.typing; /* suggestions: from typing on, until they are taken or sent away */
  const view = new EditorView({
    parent: options.parent,
    state: EditorState.create({
      doc: options.text,
      selection: { anchor: options.selection.from, head: options.selection.to },
      extensions: [
        wrongField,
        colours,
        history(),
        bracketMatching(),
        EditorView.lineWrapping,
        EditorState.languageData.of(() => [
          { commentTokens: { line: '//', block: { open: '/*', close: '*/' } } },
        ]),
        EditorState.phrases.of({ Completions: 'Suggestions' }),
        placeholder(options.placeholder),
        tooltips({ position: 'fixed' }),
        autocompletion({
          override: [source(options.known)],
          selectOnOpen: false,
          icons: false,
          closeOnBlur: true,
          interactionDelay: 0,
          activateOnTypingDelay: 30,
          defaultKeymap: false,
          optionClass: ({ type }) => `kind-${type ?? 'word'}`,
        }),
        keys(options),
        typing,
        EditorView.domEventHandlers({
          keydown: ({ key }) => void (wanted &&= key !== 'Escape' && key !== 'Enter'),
        }),
        EditorView.contentAttributes.of((own) => {
          const { describedBy } = own.state.field(wrongField);
          return {
            'aria-label': 'Query',
            'aria-invalid': describedBy === undefined ? 'false' : 'true',
            'aria-keyshortcuts': 'Enter Control+Enter',
            spellcheck: 'false',
            autocapitalize: 'none',
            ...(describedBy === undefined ? {} : { 'aria-describedby': describedBy }),
          };
        }),
        EditorView.updateListener.of((update) => {
          if (
            update.transactions.some((one) => one.isUserEvent('input') || one.isUserEvent('delete'))
          ) {
            options.onedit();
            wanted = !update.transactions.some((one) => one.annotation(pickedCompletion));
          }
          if (update.docChanged) {
            options.onchange(update.state.doc.toString());
          }
          if (update.focusChanged && update.view.hasFocus) {
            options.onfocus();
          }
        }),
        theme,
      ],
    }),
  });
  return {
    setText(text) {
      if (text !== view.state.doc.toString()) {
        replaceAll(view, text, 'set');
      }
    },
    setWrong(place, describedBy) {
      const now = view.state.field(wrongField);
      if (now.place !== place || now.describedBy !== describedBy) {
        view.dispatch({ effects: setWrong.of({ place, describedBy }) });
      }
    },
    knownChanged() {
      if (wanted && view.hasFocus && view.state.doc.length > 0) {
        startCompletion(view);
      }
    },
    focus() {
      view.focus();
      view.dispatch({ selection: { anchor: view.state.doc.length } });
    },
    destroy: () => view.destroy(),
  };
}
