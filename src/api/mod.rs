//! gRPC services, the conversion of their messages, and the client.
