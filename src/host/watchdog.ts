/**
 * The device behind the guard: it resets the machine when nobody feeds it (Linux, Documentation/watchdog/watchdog-api.rst).
 * It is fed with every new deadline, and never between two: so it fires when the guard itself was too late.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { basename } from 'node:path';

/** As configured. */
export interface WatchdogOptions {
  readonly device: string;
  /** How long before the TTL has run out the device fires; -1: at half of the TTL. As Patroni has it. */
  readonly safetyMarginMs: number;
  readonly tell: (text: string) => void;
}

/** A device that is used while there is a deadline. */
export interface Watchdog {
  /** The deadline was moved: the machine is reset unless this is called again, or `letGo`, within the device's time. */
  feed(ttlMs: number): void;
  /** Nothing is to be enforced any more. */
  letGo(): void;
}

/** After this long the device resets, in whole seconds; a TTL is never shorter than its margin. */
export function deviceTimeoutS(ttlMs: number, safetyMarginMs: number): number {
  const timeoutMs = safetyMarginMs < 0 ? ttlMs / 2 : ttlMs - safetyMarginMs;
  return Math.max(Math.floor(timeoutMs / 1000), 1);
}

/** Why the device cannot be used; undefined when it can. It is not opened: opening starts it. */
export function watchdogTrouble(device: string): string | undefined {
  try {
    const facts = statSync(device);
    if (facts.isDirectory()) return `${device} is a directory`;
  } catch (error) {
    return `${device} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (kernelSays(device, 'nowayout') === '1') {
    return `${device} cannot be stopped once it runs (nowayout): the machine would be reset whenever PostgreSQL is stopped`;
  }
  return undefined;
}

/** The device is opened with the first deadline and closed with the last. */
export function watchdog({ device, safetyMarginMs, tell }: WatchdogOptions): Watchdog {
  let open: { readonly descriptor: number; readonly timeoutS: number } | undefined;
  let trouble = '';

  function letGo(): void {
    if (!open) return;
    // The letter that means to stop it; without it the device would fire.
    attempt(() => writeSync(open?.descriptor ?? -1, 'V'));
    attempt(() => closeSync(open?.descriptor ?? -1));
    open = undefined;
  }

  function begin(timeoutS: number): void {
    setTimeoutOf(device, timeoutS, tell);
    open = { descriptor: openSync(device, 'a'), timeoutS };
    tell(`${device} resets this machine ${timeoutS} s after the last renewal, if the guard does not end PostgreSQL`);
  }

  function attempt(work: () => void): void {
    try {
      work();
      trouble = '';
    } catch (error) {
      const text = `${device}: ${error instanceof Error ? error.message : String(error)}`;
      if (text !== trouble) tell(text);
      trouble = text;
    }
  }

  return {
    feed(ttlMs) {
      const timeoutS = deviceTimeoutS(ttlMs, safetyMarginMs);
      if (open && open.timeoutS !== timeoutS) letGo();
      attempt(() => {
        if (!open) begin(timeoutS);
        writeSync(open?.descriptor ?? -1, '1');
      });
    },
    letGo,
  };
}

/** Node cannot ask a device for it (ioctl): wdctl of util-linux can, while nobody has the device open. */
function setTimeoutOf(device: string, timeoutS: number, tell: (text: string) => void): void {
  if (!statSync(device).isCharacterDevice()) return;
  const done = spawnSync('wdctl', ['--settimeout', String(timeoutS), device], { encoding: 'utf8', timeout: 1000 });
  const actual = kernelSays(device, 'timeout');
  if (actual === String(timeoutS)) return;
  tell(
    `${device} could not be set to ${timeoutS} s: it has ${actual ?? 'a time that is not known'} (${(done.stderr || '').trim()})`,
  );
}

function kernelSays(device: string, attribute: 'nowayout' | 'timeout'): string | undefined {
  const name = basename(device) === 'watchdog' ? 'watchdog0' : basename(device);
  try {
    return readFileSync(`/sys/class/watchdog/${name}/${attribute}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
