/*
 * The arithmetic of a list that is far longer than what is on the screen.
 *
 * Rows have one height; a few opened rows are taller by a known amount. Only the rows in view are
 * in the document, so a million results cost as much as fifty. Browsers cap an element's height
 * (Firefox at about 17.8 million pixels): a longer list is squeezed, one pixel of the scroll bar
 * then stands for more than one pixel of the list, and every row can still be reached.
 */

export const SCROLL_PX_MAX = 15_000_000;

export interface VirtualList {
  count: number;
  rowPx: number;
  /** Row index -> extra pixels below that row (an opened entry). Few: looked through linearly. */
  extraPx: ReadonlyMap<number, number>;
  viewPx: number;
}

export interface VirtualView {
  /** First row to draw, and the one after the last. */
  first: number;
  last: number;
  /** Where the first drawn row's top is, from the top of the scrolled area. */
  topPx: number;
  /** The scrolled area's height. */
  scrollPx: number;
}

export function listPx(list: VirtualList): number {
  let px = list.count * list.rowPx;
  for (const extra of list.extraPx.values()) {
    px += extra;
  }
  return px;
}

/** Where a row's top is in the whole list. */
export function rowTopPx(list: VirtualList, row: number): number {
  let px = row * list.rowPx;
  for (const [opened, extra] of list.extraPx) {
    if (opened < row) {
      px += extra;
    }
  }
  return px;
}

/** The row that covers `px` of the whole list. */
export function rowAt(list: VirtualList, px: number): number {
  let row = Math.floor(px / list.rowPx);
  for (const [opened, extra] of [...list.extraPx].sort((a, b) => a[0] - b[0])) {
    const bottom = rowTopPx(list, opened) + list.rowPx + extra;
    if (px < bottom - extra) {
      break;
    }
    row = px < bottom ? opened : opened + 1 + Math.floor((px - bottom) / list.rowPx);
  }
  return Math.min(Math.max(0, row), Math.max(0, list.count - 1));
}

export function view(list: VirtualList, scrollTop: number, overscan: number): VirtualView {
  const whole = listPx(list);
  const scrollPx = Math.min(whole, SCROLL_PX_MAX);
  const top = listTopOf(list, scrollTop);
  const first = Math.max(0, rowAt(list, top) - overscan);
  const last = Math.min(list.count, rowAt(list, top + list.viewPx) + 1 + overscan);
  return { first, last, topPx: scrollTop + rowTopPx(list, first) - top, scrollPx };
}

/** The scroll position that brings a row to the top of the view. */
export function scrollTopFor(list: VirtualList, row: number): number {
  return rowTopPx(list, row) / squeeze(list);
}

/** The nearest scroll position that shows the whole row, or null if it is in view already. */
export function scrollTopToShow(list: VirtualList, scrollTop: number, row: number): number | null {
  const top = listTopOf(list, scrollTop);
  const rowTop = rowTopPx(list, row);
  if (rowTop < top) {
    return rowTop / squeeze(list);
  }
  if (rowTop + list.rowPx > top + list.viewPx) {
    return (rowTop + list.rowPx - list.viewPx) / squeeze(list);
  }
  return null;
}

function listTopOf(list: VirtualList, scrollTop: number): number {
  const most = Math.max(0, listPx(list) - list.viewPx);
  return Math.min(Math.max(0, scrollTop * squeeze(list)), most);
}

function squeeze(list: VirtualList): number {
  const whole = listPx(list);
  const scrollable = Math.min(whole, SCROLL_PX_MAX) - list.viewPx;
  return scrollable <= 0 ? 1 : Math.max(1, (whole - list.viewPx) / scrollable);
}

/* ---- pages of results ---- */

export const PAGE_ROWS = 200;

/** The pages a range of rows needs. */
export function pagesOf(first: number, last: number): number[] {
  const pages: number[] = [];
  for (let page = Math.floor(first / PAGE_ROWS); page * PAGE_ROWS < last; page++) {
    pages.push(page);
  }
  return pages;
}

const PAGES_KEPT = 60;
/** The first ones say what fields there are and how wide the columns. */
const PAGES_ALWAYS = 3;

/** The pages to forget, the oldest arrivals, of those that are here in the order they came. */
export function forgotten(arrived: Iterable<number>): number[] {
  const others = [...arrived].filter((page) => page >= PAGES_ALWAYS);
  return others.slice(0, Math.max(0, others.length + PAGES_ALWAYS - PAGES_KEPT));
}
