/** A glob of tags (`* ? [a-z] {a,b}`) as an expression. */
export function globOf(glob: string): RegExp {
  const inner = glob
    .replace(/[.+^$()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
    .replace(/\{([^{}]*)\}/g, (_, list: string) => `(?:${list.replaceAll(',', '|')})`);
  try {
    return new RegExp(`^${inner}$`);
  } catch {
    return /^$/;
  }
}
