/** What a segment does in a training step (spec section 3). */
export type Role = 'train' | 'freeze' | 'mask';

/** The role of every task's segment in one task's step. */
export type Roles = Readonly<Record<string, Role>>;
