/* Light or dark: the system's choice until the user makes one. */
const KEY = 'aquifer.theme';

export type Theme = 'auto' | 'light' | 'dark';

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return value === 'light' || value === 'dark' ? value : 'auto';
}

class ThemeChoice {
  choice: Theme = $state(stored());

  set(choice: Theme): void {
    this.choice = choice;
    if (choice === 'auto') {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, choice);
    }
    this.apply();
  }

  /** Goes auto, light, dark, auto … */
  next(): void {
    this.set(this.choice === 'auto' ? 'light' : this.choice === 'light' ? 'dark' : 'auto');
  }

  apply(): void {
    if (this.choice === 'auto') {
      delete document.documentElement.dataset['theme'];
    } else {
      document.documentElement.dataset['theme'] = this.choice;
    }
  }
}

export const theme = new ThemeChoice();
