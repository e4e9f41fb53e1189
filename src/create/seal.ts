/**
 * The cluster's credentials as later members need them, sealed for the DCS: whoever reads the DCS without the token sees
 * random bytes. AES-256-GCM under a key that HKDF-SHA-256 (RFC 5869) derives from the token and a salt; the cluster's place
 * in the DCS is authenticated with it, so that what was sealed for one cluster opens in no other.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { SealedText } from '../dcs/join-record.ts';

const user = z.object({ username: z.string().min(1), password: z.string().min(1) });
const credentialsForm = z.object({ superuser: user, replication: user, rewind: user });

/** As whom the agents work, in every member alike. */
export type ClusterCredentials = z.infer<typeof credentialsForm>;

/** New passwords for the customary roles. */
export function makeCredentials(): ClusterCredentials {
  const password = (): string => randomBytes(24).toString('base64url');
  return {
    superuser: { username: 'postgres', password: password() },
    replication: { username: 'replicator', password: password() },
    rewind: { username: 'rewinder', password: password() },
  };
}

const cipher = 'aes-256-gcm';

function derivedKey(key: Buffer, salt: Buffer, prefix: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, `pgherd join ${prefix}`, 32));
}

/** `prefix`: the cluster's keys in the DCS, `/<namespace>/<scope>/`. */
export function seal(credentials: ClusterCredentials, key: Buffer, prefix: string): SealedText {
  const salt = randomBytes(32);
  const nonce = randomBytes(12);
  const encrypt = createCipheriv(cipher, derivedKey(key, salt, prefix), nonce).setAAD(Buffer.from(prefix));
  const sealed = Buffer.concat([encrypt.update(JSON.stringify(credentials), 'utf8'), encrypt.final()]);
  const text = (bytes: Buffer): string => bytes.toString('base64url');
  return { salt: text(salt), nonce: text(nonce), sealed: text(sealed), tag: text(encrypt.getAuthTag()) };
}

/** undefined: it was sealed with another token, for another cluster, or somebody changed it. */
export function unseal(text: SealedText, key: Buffer, prefix: string): ClusterCredentials | undefined {
  const bytes = (part: string): Buffer => Buffer.from(part, 'base64url');
  const nonce = bytes(text.nonce);
  const tag = bytes(text.tag);
  // A shorter tag would be easier to forge.
  if (nonce.length !== 12 || tag.length !== 16) return undefined;
  try {
    const decrypt = createDecipheriv(cipher, derivedKey(key, bytes(text.salt), prefix), nonce)
      .setAAD(Buffer.from(prefix))
      .setAuthTag(tag);
    const plain = Buffer.concat([decrypt.update(bytes(text.sealed)), decrypt.final()]).toString('utf8');
    return credentialsForm.parse(JSON.parse(plain));
  } catch {
    return undefined;
  }
}
