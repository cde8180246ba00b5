import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  colourOf,
  entriesOf,
  hexOf,
  jsonOf,
  lineOf,
  LINE_CHARACTERS_MAX,
  TAG_COLOURS,
  visible,
} from './entry';

const base64 = (data: string | Uint8Array) => {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
};

const wire = (data: string | Uint8Array, Tag = 3) => ({
  TS: '2026-05-04T09:30:00Z',
  SRC: '192.0.2.1',
  Tag,
  Data: base64(data),
  Enumerated: null,
});

describe('an entry', () => {
  it('has the name of its tag, or its number when the name is unknown', () => {
    const [known, unknown] = entriesOf({ Tags: { web: 3 }, Entries: [wire('a'), wire('b', 9)] });
    expect(known?.tag).toBe('web');
    expect(unknown?.tag).toBe('#9');
  });

  it('keeps every byte of its data', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    const [entry] = entriesOf({ Tags: {}, Entries: [wire(all)] });
    expect(entry?.bytes).toEqual(all);
  });

  it('survives data that is not base64', () => {
    expect(bytesOf('***')).toEqual(new Uint8Array());
  });

  it('is one line without control characters, however hostile', () => {
    const hostile =
      'a\u0000b\u0007\u001b[31m\u202egnp.exe\u2066\u200b\r\nsecond\tthird\u0085\u007f\r\n';
    const line = lineOf(hostile);
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069]/);
    expect(line).toContain('⟨U+202E⟩gnp.exe');
    expect(line).toContain('␀');
    expect(line).toContain(' ⏎ second third');
  });

  it('leaves markup and other languages as they are', () => {
    for (const text of [
      '<script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      'שלום',
      'naïve 😀 日本',
    ]) {
      expect(visible(text)).toBe(text);
    }
  });

  it('costs a row no more than a row can show', () => {
    const [entry] = entriesOf({ Tags: {}, Entries: [wire('x'.repeat(1_000_000))] });
    expect(entry?.line.length).toBe(LINE_CHARACTERS_MAX);
  });

  it('is bytes when the query asks for bytes', () => {
    const page = { Tags: {}, Entries: [wire(Uint8Array.of(0x5b, 0, 0xff))] };
    expect(entriesOf(page, 'hex')[0]).toMatchObject({ line: '5B 00 FF', hex: true });
    expect(entriesOf(page, 'text')[0]?.line).toBe('[\u2400\ufffd');
  });

  it('is pretty-printed only when it is JSON', () => {
    expect(jsonOf(' {"a":[1]} ')).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(jsonOf('{"a":')).toBeNull();
    expect(jsonOf('17')).toBeNull();
  });

  it('can be read as bytes', () => {
    expect(hexOf(new TextEncoder().encode('Hello\n'))).toBe(
      '00000000  48 65 6c 6c 6f 0a                                Hello.',
    );
  });

  it('has the colour of its tag everywhere', () => {
    const tags = ['', 'web', 'shop', 'syslog', 'auth', 'ü'.repeat(4096), 'default', 'kernel'];
    const first = tags.map(colourOf);
    expect(new Set(first).size).toBe(TAG_COLOURS);
    expect(tags.map(colourOf)).toEqual(first);
    expect(colourOf('one more')).toBeLessThan(TAG_COLOURS);
  });
});
