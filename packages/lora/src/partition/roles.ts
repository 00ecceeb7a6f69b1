/** What a segment does in a training step. */
export type Role = 'train' | 'freeze' | 'mask';

/** Task → the role of its segment, in the step of one task. */
export type Roles = Readonly<Record<string, Role>>;
