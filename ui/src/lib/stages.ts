/* What each stage of a search did: the answer of `/explain`, and how it is said. */

export interface Stage {
  Name: string;
  Args: string;
  Where: string;
  InputCount: number;
  OutputCount: number;
  DroppedCount: number;
  InputBytes: number;
  OutputBytes: number;
  FailedCount: number;
  /** ns */
  Duration: number;
}

export interface Explanation {
  Stages: Stage[];
  RequiredWords?: string[];
  BlocksPassedOver?: number;
  Finished?: boolean;
}

export function nanosecondsText(ns: number): string {
  const units: [number, string][] = [
    [60e9, 'min'],
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'µs'],
  ];
  for (const [size, unit] of units) {
    if (ns >= size) {
      const value = ns / size;
      return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
    }
  }
  return `${ns} ns`;
}

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}

/** The stages that could not read entries, in words; empty when all could. */
export function failuresText(stages: readonly Stage[]): string {
  const failed = stages.filter((stage) => stage.FailedCount > 0);
  return failed
    .map((stage) => {
      const entries = stage.FailedCount === 1 ? 'entry' : 'entries';
      return `${stage.Name} could not read ${stage.FailedCount.toLocaleString('en-US')} ${entries}`;
    })
    .join('; ');
}
