"""Who is who: identities in certificates, the small CA that makes them, TLS credentials, diagnosis.

The only importer of `cryptography`. A certificate says who somebody is and nothing more: what they
may do is a record in the BBS. Does not belong here: permissions, channels and servers (`rpc`).

What is checked where, when a client meets a server:

====================================  ============================================================
one's own certificate, key and CA     `credentials.load_identity`, before any connection
the server is of our cluster          gRPC: it trusts `ca.crt` only, each cluster has its own CA,
                                      and the CA's name constraints bind it to the cluster's name
the server is at the dialled host     gRPC: DNS and IP names of the server's certificate
the server is a server                gRPC: a user's certificate lacks the server purpose
the client is of our cluster          gRPC: client certificates are required, and `ca.crt` again
who the client is                     `identity.principal_from_auth_context`, at each call
a certificate that expired while      `identity.require_unexpired`, at each call
its connection was open
the server has the role we dial       `identity.check_server`, in `diagnosis`. A gRPC client can't
                                      ask for the server's certificate; the host names, which the
                                      CA's owner confirmed by signing, stand for it.
====================================  ============================================================
"""
