import { describe, expect, it } from 'vitest';
import { bytesText, failuresText, nanosecondsText, type Stage } from './stages';

const stage = (Name: string, FailedCount: number): Stage => ({
  Name,
  Args: '',
  Where: 'indexers',
  InputCount: 9,
  OutputCount: 9,
  DroppedCount: 0,
  InputBytes: 1,
  OutputBytes: 1,
  FailedCount,
  Duration: 1,
});

describe('what stages did', () => {
  it('is said in units that people read', () => {
    expect([0, 1500, 2_345_678, 1e9, 90e9].map(nanosecondsText)).toEqual([
      '0 ns',
      '1.5 µs',
      '2.35 ms',
      '1 s',
      '1.5 min',
    ]);
    expect([0, 999, 1000, 999_600, 12_345_678].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1 kB',
      '1 MB',
      '12.3 MB',
    ]);
  });

  it('names who could not read entries, and nobody else', () => {
    expect(failuresText([stage('grep', 0)])).toBe('');
    expect(failuresText([stage('json', 1), stage('grep', 0), stage('csv', 1200)])).toBe(
      'json could not read 1 entry; csv could not read 1,200 entries',
    );
  });
});
