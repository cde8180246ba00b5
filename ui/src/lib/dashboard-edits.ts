/*
 * What is being edited, with the way back. Changes of the same `topic` that follow each other are
 * one step: a title is not undone letter by letter.
 */
const STEPS_MAX = 100;

export interface Edits<T> {
  readonly base: T;
  readonly past: readonly T[];
  readonly present: T;
  readonly future: readonly T[];
  readonly topic: string;
}

export function editsOf<T>(base: T, present: T = base): Edits<T> {
  return { base, past: present === base ? [] : [base], present, future: [], topic: '' };
}

export function edited<T>(edits: Edits<T>, present: T, topic = ''): Edits<T> {
  if (present === edits.present) {
    return edits;
  }
  const goesOn = topic !== '' && topic === edits.topic;
  const past = goesOn ? edits.past : [...edits.past, edits.present].slice(-STEPS_MAX);
  return { ...edits, past, present, future: [], topic };
}

export function undone<T>(edits: Edits<T>): Edits<T> {
  const before = edits.past[edits.past.length - 1];
  return before === undefined
    ? edits
    : {
        ...edits,
        past: edits.past.slice(0, -1),
        present: before,
        future: [edits.present, ...edits.future],
        topic: '',
      };
}

export function redone<T>(edits: Edits<T>): Edits<T> {
  const [next, ...future] = edits.future;
  return next === undefined
    ? edits
    : { ...edits, past: [...edits.past, edits.present], present: next, future, topic: '' };
}
