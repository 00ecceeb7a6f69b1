/** Where a server sends its answers to a device. */
import { keyToken } from '../engine/key-token.js';

/** A subject's beginning; in a cluster with registered devices no other device may listen there. */
export const inboxOf = (device: string): string => `_INBOX_${keyToken(device)}`;
