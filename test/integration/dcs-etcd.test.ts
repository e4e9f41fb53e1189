/** The DCS port on a real etcd of three members. */
import { after } from 'node:test';
import { contract } from '../dcs/contract.ts';
import { leastTtlMs, startEtcd, type TestEtcd } from '../dcs/etcd.ts';

const etcd: TestEtcd = await startEtcd();
after(() => etcd.end());

contract('etcd', async () => ({ connect: (scope) => etcd.connect(scope) }), {
  leastTtlMs,
  endsLateMs: 1000,
  revisionOf: 'store',
});
