/** What the kernel said about one op. `message` reads: `link.add vxlan vx0 in netns warren-1048576: EEXIST: A VXLAN device with …`. */
export class KernelError extends Error {
  /** `link.add`, or `read`. */
  readonly op: string;
  /** What it was about: `vxlan vx0 in netns warren-1048576`. */
  readonly subject: string;
  readonly errno: number;
  /** Symbolic errno: `EEXIST`. */
  readonly code: string;
  /** The kernel's own words (NLMSGERR_ATTR_MSG). */
  readonly extack: string | undefined;
  /** Which attribute it disliked: `LINKINFO/DATA/VXLAN_ID`. */
  readonly attr: string | undefined;
  /** Position in the list given to apply; -1 for reads. */
  readonly index: number;

  constructor(fields: {
    op: string;
    subject: string;
    errno: number;
    code: string;
    extack?: string;
    attr?: string;
    index: number;
  }) {
    const words = fields.extack ? `: ${fields.extack}` : '';
    const attr = fields.attr ? ` (${fields.attr})` : '';
    super(`${fields.op} ${fields.subject}: ${fields.code}${words}${attr}`);
    this.name = 'KernelError';
    this.op = fields.op;
    this.subject = fields.subject;
    this.errno = fields.errno;
    this.code = fields.code;
    this.extack = fields.extack;
    this.attr = fields.attr;
    this.index = fields.index;
  }
}
