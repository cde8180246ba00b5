import { describe, expect, it } from 'vitest';
import { expandMacro, macroArguments, macroCall, macroName, macroQuery } from './macro';

describe('macros', () => {
  it('a name is what the server takes', () => {
    expect(macroName('my errors!')).toBe('MY_ERRORS');
    expect(macroName('<img>')).toBe('IMG');
  });

  it('asks for as many arguments as the highest number says', () => {
    expect(macroArguments('grep %%2%% | grep %%1%%')).toBe(2);
    expect(macroArguments('grep 100%')).toBe(0);
  });

  it('puts arguments into their places and leaves those that are missing', () => {
    expect(expandMacro('a %%1%% b %%2%% %%1%%', ['x'])).toBe('a x b %%2%% x');
    expect(expandMacro('%%1%%', ['$&'])).toBe('$&');
  });

  it('shows how it is called', () => {
    expect(macroCall('ERR', 0)).toBe('$ERR');
    expect(macroCall('ERR', 2)).toBe('$ERR(argument 1, argument 2)');
  });

  it('a piece of a query is tried as a part of one', () => {
    expect(macroQuery('grep error')).toBe('tag=* grep error');
    expect(macroQuery('| count')).toBe('tag=* count');
    expect(macroQuery('tag=web grep x')).toBe('tag=web grep x');
  });
});
