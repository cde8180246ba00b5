import { describe, expect, it } from 'vitest';
import { Recall } from './recall';

describe('earlier queries', () => {
  it('come back newest first, and then what was being typed', () => {
    const recall = new Recall();
    recall.load(['b', 'a', 'b']);
    recall.add('c');
    expect(recall.older('half a thou')).toBe('c');
    expect(recall.older('c')).toBe('b');
    expect(recall.older('b')).toBe('a');
    expect(recall.older('a')).toBeNull();
    expect(recall.newer()).toBe('b');
    expect(recall.newer()).toBe('c');
    expect(recall.newer()).toBe('half a thou');
    expect(recall.newer()).toBeNull();
  });

  it('leave out the one that is on the screen already', () => {
    const recall = new Recall();
    recall.add('a');
    recall.add('b');
    expect(recall.older('b')).toBe('a');
  });

  it('begin anew when something is typed', () => {
    const recall = new Recall();
    recall.load(['b', 'a']);
    recall.older('');
    recall.edited();
    expect(recall.older('b and more')).toBe('b');
  });

  it('stay within bounds', () => {
    const recall = new Recall();
    recall.load(Array.from({ length: 5000 }, (_, i) => `q${i}`));
    let count = 0;
    for (let text = recall.older(''); text !== null; text = recall.older(text)) {
      count++;
    }
    expect(count).toBe(200);
  });
});
