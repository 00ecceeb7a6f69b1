/** The name of the strategy whose placements the search itself finds, among the peers' names. */
export const contextGearName = 'ContextGear';
