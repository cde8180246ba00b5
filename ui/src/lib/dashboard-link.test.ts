import { describe, expect, it } from 'vitest';
import { NO_VIEW, viewFromText, viewToText, type View } from './dashboard-link';

describe('the link to a dashboard', () => {
  it('goes there and back', () => {
    const views: View[] = [
      NO_VIEW,
      {
        range: { kind: 'last', ms: 3_600_000 },
        refreshSeconds: 30,
        values: { host: 'a & b=c', empty: '', ü: '%%x%%' },
        tile: 3,
        kiosk: true,
      },
      { ...NO_VIEW, kiosk: true, refreshSeconds: 0 },
    ];
    for (const view of views) {
      expect(viewFromText(viewToText(view))).toEqual(view);
    }
    expect(viewToText(NO_VIEW)).toBe('');
  });

  it('bears whatever is typed', () => {
    expect(viewFromText('t=yesterday&r=-1&tile=x&%%&v.=1')).toEqual({
      ...NO_VIEW,
      values: { '': '1' },
    });
    expect(viewFromText('r=1')).toEqual(NO_VIEW);
  });

  it('have each of several values of a variable', () => {
    const view = viewFromText('v.host=web1&v.host=web+2&v.one=x');
    expect(view.values).toEqual({ host: 'web1\nweb 2', one: 'x' });
    expect(viewToText(view)).toBe('v.host=web1&v.host=web+2&v.one=x');
    expect(viewToText({ ...view, values: { host: '' } })).toBe('v.host=');
  });
});
