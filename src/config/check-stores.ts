/** Exactly one section names the DCS: what is wrong with those that do. */
import type { Finding } from './check.ts';
import { etcdProblems, etcdSectionOf, unusedTls } from './etcd.ts';
import { dcsExamples, refusedStores } from './schema-stores.ts';
import { type Data, isData } from './values.ts';

const known = ['monitor', 'etcd3', 'etcd'] as const;

/** `needed`: that no section names the DCS is a problem. */
export function checkStores(data: Data, needed: boolean): readonly Finding[] {
  const isGiven = (name: string): boolean => data[name] !== undefined && data[name] !== null;
  const findings: Finding[] = Object.entries(refusedStores)
    .filter(([name]) => isGiven(name))
    .map(([name, text]) => ({ path: [name], text, of: 'key' }));
  const [first, ...others] = known.filter(isGiven);
  for (const name of others) {
    const text = `names a second DCS, beside ${first}; allowed: one of them; remove the other`;
    findings.push({ path: [name], text, of: 'key' });
  }
  if (first === undefined && findings.length === 0 && needed) {
    const text = `found no section that names the DCS; allowed: monitor, etcd3; add ${dcsExamples.monitor}, or ${dcsExamples.etcd3}`;
    return [{ path: [], text, of: 'key' }];
  }
  return [...findings, ...(first === undefined ? [] : checkStore(first, data[first]))];
}

function checkStore(name: (typeof known)[number], given: unknown): readonly Finding[] {
  if (!isData(given)) return [];
  if (name !== 'monitor') {
    return etcdProblems(given).map(({ key, text }) => ({
      path: key === undefined ? [name] : [name, key],
      text,
      of: 'key',
    }));
  }
  if ((given['uri'] ?? null) !== null) return [];
  const text = 'found nothing; allowed: a URI such as postgres://pgherd@HOST:PORT/pgherd; add it';
  return [{ path: ['monitor', 'uri'], text, of: 'key' }];
}

/** What may surprise. */
export function aboutStores(data: Data): readonly Finding[] {
  const name = etcdSectionOf(data);
  const given = name && data[name];
  if (name === undefined || !isData(given)) return [];
  const findings: Finding[] = [];
  if (name === 'etcd') {
    const text =
      "taken as etcd3: pgherd speaks etcd's v3 API only; what Patroni keeps there by the old API is not seen";
    findings.push({ path: [name], text, of: 'key' });
  }
  const unused = unusedTls(given);
  if (unused !== undefined) {
    const text = 'no effect without TLS; set protocol: https';
    findings.push({ path: [name, unused], text, of: 'key' });
  }
  return findings;
}
