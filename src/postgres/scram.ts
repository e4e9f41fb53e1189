/** Passwords as PostgreSQL stores them, so that the password itself never travels in a statement. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/**
 * `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` (RFC 5803; PostgreSQL, src/common/scram-common.c).
 * Normal form KC stands for SASLprep: the same for every password that has no control characters in it.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const iterations = 4096;
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const keyed = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const serverKey = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
