/*
 * What is being typed in a dialog, until it is applied or given up on purpose: closing the dialog
 * by mistake, a reload or the end of a session cost nothing. Lives as long as the tab.
 */
const PREFIX = 'aquifer.typed.';

export function typed<T>(key: string): T | null {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function keepTyped(key: string, value: unknown): void {
  try {
    sessionStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    /* the storage is full: the page still has it */
  }
}

export function dropTyped(key: string): void {
  sessionStorage.removeItem(PREFIX + key);
}
