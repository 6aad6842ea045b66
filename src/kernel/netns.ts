/** A network namespace by path; '' is the agent's own (the host's). With dev and inode it must also be that very one. */
export type Netns = { readonly path: string; readonly dev?: number; readonly inode?: number };
export const host: Netns = { path: '' };
export type NetnsId = { readonly dev: number; readonly inode: number };
