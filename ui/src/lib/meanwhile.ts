/* What has happened to a thing since somebody opened it: saving goes on, but is told so. */

/**
 * `opened` is as it was then, `now` the list as it is. A list that has not arrived says nothing.
 */
export function meanwhileOf<T>(
  opened: T | null,
  now: T[],
  keyOf: (item: T) => string | number,
  stampOf: (item: T) => string,
): string {
  if (opened === null || now.length === 0) {
    return '';
  }
  const present = now.find((item) => keyOf(item) === keyOf(opened));
  if (!present) {
    return 'Somebody has deleted this meanwhile. If you save, it is made anew.';
  }
  return stampOf(present) === stampOf(opened)
    ? ''
    : 'Somebody has changed this meanwhile. If you save, yours is the present version and theirs stays among the versions.';
}
