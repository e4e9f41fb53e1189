/** All mutants. */
import { leaseMutants } from './leases.ts';
import type { Mutant } from './mutant.ts';
import { promiseMutants } from './promises.ts';
import { rejoinMutants } from './rejoin.ts';
import { releaseMutants } from './releases.ts';
import { revokingMutants } from './revoking.ts';
import { storageMutants } from './storage.ts';
import { suspicionMutants } from './suspicion.ts';
import { syncSetMutants } from './sync-set.ts';
import { takingMutants } from './taking.ts';

export const mutants: readonly Mutant[] = [
  ...takingMutants,
  ...revokingMutants,
  ...syncSetMutants,
  ...leaseMutants,
  ...promiseMutants,
  ...suspicionMutants,
  ...rejoinMutants,
  ...releaseMutants,
  ...storageMutants,
];
