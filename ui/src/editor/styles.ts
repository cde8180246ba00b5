/*
 * The server's Content-Security-Policy allows no <style> elements, and needs not: style-mod, which
 * CodeMirror brings its styles with, uses a constructed style sheet where it is given something
 * that is no document. The page's own sheet is that something.
 */
import { StyleModule } from 'style-mod';

const root = {
  ownerDocument: document,
  get adoptedStyleSheets(): CSSStyleSheet[] {
    return document.adoptedStyleSheets;
  },
  set adoptedStyleSheets(sheets: CSSStyleSheet[]) {
    document.adoptedStyleSheets = sheets;
  },
} as unknown as ShadowRoot;

const mount = StyleModule.mount.bind(StyleModule);
StyleModule.mount = (_, modules) => mount(root, modules);
