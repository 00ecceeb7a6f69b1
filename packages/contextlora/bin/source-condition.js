/** A resolve hook: workspace packages resolve to their sources, as with `node --conditions @contextlora/source`. */
export const resolve = (specifier, context, next) =>
  next(specifier, { ...context, conditions: ['@contextlora/source', ...context.conditions] });
