/** Looks for a dependency cycle among tasks. */

/** The ids along a cycle, with the first repeated at the end; undefined when there is none. Unknown dependencies are ignored. */
export function findCycle(
  tasks: readonly { readonly id: string; readonly dependsOn: readonly string[] }[],
): string[] | undefined {
  const dependencies = new Map(tasks.map(({ id, dependsOn }) => [id, dependsOn]));
  const finished = new Set<string>();
  for (const { id: start } of tasks) {
    // An explicit stack, so that a long chain cannot exhaust the call stack.
    const path: { id: string; next: number }[] = finished.has(start) ? [] : [{ id: start, next: 0 }];
    const onPath = new Set(path.map(({ id }) => id));
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const parent = dependencies.get(top.id)?.[top.next++];
      if (parent === undefined) {
        finished.add(top.id);
        onPath.delete(top.id);
        path.pop();
      } else if (onPath.has(parent)) {
        const ids = path.map(({ id }) => id);
        return [...ids.slice(ids.indexOf(parent)), parent];
      } else if (dependencies.has(parent) && !finished.has(parent)) {
        path.push({ id: parent, next: 0 });
        onPath.add(parent);
      }
    }
  }
  return undefined;
}
