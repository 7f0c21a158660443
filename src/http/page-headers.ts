import { secureHeaders } from 'hono/secure-headers';

const self = ["'self'"];

/**
 * For the pages that people open. They load from this host alone (Bull Board's asks for a font of
 * another, which without network keeps it blank for long), and no other site shows them in a frame
 * to have operators click in it.
 */
export const pageHeaders = secureHeaders({
  // Whether its domain is to be reached over TLS only is for whoever owns the domain.
  strictTransportSecurity: false,
  contentSecurityPolicy: {
    defaultSrc: self,
    styleSrc: [...self, "'unsafe-inline'"],
    imgSrc: [...self, 'data:'],
    objectSrc: ["'none'"],
    baseUri: self,
    formAction: self,
    frameAncestors: ["'none'"],
  },
  xFrameOptions: 'DENY',
});
