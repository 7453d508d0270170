#pragma once
// An Ed25519 public key as a JSON Web Key (RFC 7517, RFC 8037): shared by signing and checking.

#include "security/token.h"

enum { JWK_PUBLIC_SIZE = 32 };

#define TOKEN_ISSUER "unreel"

// The key's name: the RFC 7638 thumbprint, SHA-256 over the required members in order.
void jwk_thumbprint(const unsigned char public_key[JWK_PUBLIC_SIZE], char out[TOKEN_KID_SIZE]);
