/* The fields that stand in columns of their own beside the entries; kept as long as the tab. */
const KEY = 'aquifer.columns';
const COLUMNS_MAX = 12;

class Columns {
  names: string[] = $state.raw(read());

  has(name: string): boolean {
    return this.names.includes(name);
  }

  toggle(name: string): void {
    this.names = this.has(name)
      ? this.names.filter((one) => one !== name)
      : [...this.names, name].slice(-COLUMNS_MAX);
    sessionStorage.setItem(KEY, JSON.stringify(this.names));
  }
}

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

export const columns = new Columns();
