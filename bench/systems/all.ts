/** Every system that can be measured, in the order of the tables. */
import { keepalivedSystems } from './keepalived.ts';
import { pacemakerSystems } from './pacemaker.ts';
import { patroniSystems } from './patroni.ts';
import { pgAutoFailoverSystems } from './pg-auto-failover.ts';
import { pgherdSystems } from './pgherd.ts';
import { repmgrSystems } from './repmgr.ts';
import type { System } from './system.ts';

export const systems: readonly System[] = [
  ...pgherdSystems,
  ...patroniSystems,
  ...pgAutoFailoverSystems,
  ...repmgrSystems,
  ...keepalivedSystems,
  ...pacemakerSystems,
];
