/** What the members have agreed on (`config` in the DCS), as a configuration file may say it under `bootstrap.dcs`. */
import type { Fields } from '../config/key.ts';
import { dcs } from '../config/schema-dcs.ts';
import { isData } from '../config/values.ts';

type Settings = Readonly<Record<string, unknown>>;

/**
 * Without what only other readers of the DCS know, or what a file could not say: the agent would refuse it. A pause is of
 * the moment, and not kept.
 */
export function agreedSettings(raw: Settings): Settings {
  const { pause: _pause, ...kept } = sayable(raw, dcs.fields);
  return kept;
}

function sayable(data: Settings, fields: Fields): Settings {
  const entries = Object.entries(data).flatMap(([name, value]): readonly (readonly [string, unknown])[] => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined || value === null || value === undefined) return [];
    const said = field.fields && isData(value) ? sayable(value, field.fields) : value;
    return field.schema.safeParse(said).success ? [[name, said]] : [];
  });
  return Object.fromEntries(entries);
}
