/** The other systems come from Debian's packages. They are installed only when that is asked for. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { System } from './systems/system.ts';

function output(program: string, ...words: string[]): string | undefined {
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 30_000 });
  } catch {
    return undefined;
  }
}

/** Undefined: it is not installed. */
function installedVersion(name: string): string | undefined {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a format of dpkg-query
  const answer = output('dpkg-query', '-W', '-f', '${db:Status-Status} ${Version}', name);
  return answer?.startsWith('installed ') ? answer.slice('installed '.length) : undefined;
}

/** Those that the system needs and that are not installed. */
export function missingPackages({ packages }: System): readonly string[] {
  return packages.filter((name) => installedVersion(name) === undefined);
}

/** For the records: of packages their versions, of pgherd the commit too. */
export function versionOf({ packages }: System): string {
  if (packages.length > 0) return packages.map((name) => `${name} ${installedVersion(name) ?? '?'}`).join(', ');
  const root = resolve(import.meta.dirname, '..');
  const { version }: { readonly version: string } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));
  const commit = output('git', '-C', root, 'describe', '--always', '--dirty', '--exclude', '*')?.trim();
  return commit === undefined ? `pgherd ${version}` : `pgherd ${version} (${commit})`;
}

const policyFile = '/usr/sbin/policy-rc.d';

/** Installs packages without starting a service, and disables the services that come with them. */
export function installPackages(names: readonly string[]): void {
  const hadPolicy = existsSync(policyFile);
  if (!hadPolicy) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const apt = (...words: string[]): void =>
      void execFileSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Dpkg::Use-Pty=0', ...words], {
        env,
        stdio: ['ignore', 'inherit', 'inherit'],
      });
    apt('update');
    apt('install', '-y', '--no-install-recommends', ...names);
  } finally {
    if (!hadPolicy) rmSync(policyFile);
  }
  const units = names.flatMap((name) => [
    ...(output('dpkg', '-L', name) ?? '').matchAll(/^(?:\/usr)?\/lib\/systemd\/system\/([\w.-]+\.service)$/gm),
  ]);
  // Where there is no systemd, there is nothing that would start them.
  for (const [, unit = ''] of units) output('systemctl', 'disable', unit);
}
