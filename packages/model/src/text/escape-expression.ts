/** The regular expression, in its source, that matches a text and nothing else. */
export const escapeExpression = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
