/* The pages of what is kept, in the order of their links. */

export const LIBRARY_PAGES = [
  { page: 'resources', label: 'Resources' },
  { page: 'queries', label: 'Saved queries' },
  { page: 'macros', label: 'Macros' },
  { page: 'templates', label: 'Templates' },
  { page: 'actionables', label: 'Actionables' },
  { page: 'extractors', label: 'Extractors' },
  { page: 'files', label: 'Files' },
  { page: 'deleted', label: 'Deleted' },
] as const;

export type LibraryPage = (typeof LIBRARY_PAGES)[number]['page'];

export function isLibraryPage(page: string): page is LibraryPage {
  return LIBRARY_PAGES.some((one) => one.page === page);
}
