/**
 * The messages and services of etcd.proto, which says what they are. Made by the protocol buffers' compiler and
 * build/etcd-messages.ts: not to be edited.
 */

import type { Message } from '@bufbuild/protobuf';
import type { GenFile, GenMessage, GenService } from '@bufbuild/protobuf/codegenv2';
import { fileDesc, messageDesc, serviceDesc } from '@bufbuild/protobuf/codegenv2';

export const file_etcd: GenFile = fileDesc(
  'CgpldGNkLnByb3RvEgxldGNkc2VydmVycGIiSQoOUmVzcG9uc2VIZWFkZXISEgoKY2x1c3Rlcl9pZBgBIAEoBBIRCgltZW1iZXJfaWQYAiABKAQSEAoIcmV2aXNpb24YAyABKAMiZAoIS2V5VmFsdWUSCwoDa2V5GAEgASgMEhcKD2NyZWF0ZV9yZXZpc2lvbhgCIAEoAxIUCgxtb2RfcmV2aXNpb24YAyABKAMSDQoFdmFsdWUYBSABKAwSDQoFbGVhc2UYBiABKAMiWAoMUmFuZ2VSZXF1ZXN0EgsKA2tleRgBIAEoDBIRCglyYW5nZV9lbmQYAiABKAwSFAoMc2VyaWFsaXphYmxlGAcgASgIEhIKCmNvdW50X29ubHkYCSABKAgiYgoNUmFuZ2VSZXNwb25zZRIsCgZoZWFkZXIYASABKAsyHC5ldGNkc2VydmVycGIuUmVzcG9uc2VIZWFkZXISIwoDa3ZzGAIgAygLMhYuZXRjZHNlcnZlcnBiLktleVZhbHVlIjcKClB1dFJlcXVlc3QSCwoDa2V5GAEgASgMEg0KBXZhbHVlGAIgASgMEg0KBWxlYXNlGAMgASgDIjsKC1B1dFJlc3BvbnNlEiwKBmhlYWRlchgBIAEoCzIcLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZUhlYWRlciIhChJEZWxldGVSYW5nZVJlcXVlc3QSCwoDa2V5GAEgASgMIr4BCglSZXF1ZXN0T3ASMwoNcmVxdWVzdF9yYW5nZRgBIAEoCzIaLmV0Y2RzZXJ2ZXJwYi5SYW5nZVJlcXVlc3RIABIvCgtyZXF1ZXN0X3B1dBgCIAEoCzIYLmV0Y2RzZXJ2ZXJwYi5QdXRSZXF1ZXN0SAASQAoUcmVxdWVzdF9kZWxldGVfcmFuZ2UYAyABKAsyIC5ldGNkc2VydmVycGIuRGVsZXRlUmFuZ2VSZXF1ZXN0SABCCQoHcmVxdWVzdCJPCgpSZXNwb25zZU9wEjUKDnJlc3BvbnNlX3JhbmdlGAEgASgLMhsuZXRjZHNlcnZlcnBiLlJhbmdlUmVzcG9uc2VIAEIKCghyZXNwb25zZSJeCgdDb21wYXJlEg4KBnJlc3VsdBgBIAEoBRIOCgZ0YXJnZXQYAiABKAUSCwoDa2V5GAMgASgMEhYKDG1vZF9yZXZpc2lvbhgGIAEoA0gAQg4KDHRhcmdldF91bmlvbiJeCgpUeG5SZXF1ZXN0EiYKB2NvbXBhcmUYASADKAsyFS5ldGNkc2VydmVycGIuQ29tcGFyZRIoCgdzdWNjZXNzGAIgAygLMhcuZXRjZHNlcnZlcnBiLlJlcXVlc3RPcCJ7CgtUeG5SZXNwb25zZRIsCgZoZWFkZXIYASABKAsyHC5ldGNkc2VydmVycGIuUmVzcG9uc2VIZWFkZXISEQoJc3VjY2VlZGVkGAIgASgIEisKCXJlc3BvbnNlcxgDIAMoCzIYLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZU9wIpsBCgxXYXRjaFJlcXVlc3QSOgoOY3JlYXRlX3JlcXVlc3QYASABKAsyIC5ldGNkc2VydmVycGIuV2F0Y2hDcmVhdGVSZXF1ZXN0SAASPgoQcHJvZ3Jlc3NfcmVxdWVzdBgDIAEoCzIiLmV0Y2RzZXJ2ZXJwYi5XYXRjaFByb2dyZXNzUmVxdWVzdEgAQg8KDXJlcXVlc3RfdW5pb24iNAoSV2F0Y2hDcmVhdGVSZXF1ZXN0EgsKA2tleRgBIAEoDBIRCglyYW5nZV9lbmQYAiABKAwiFgoUV2F0Y2hQcm9ncmVzc1JlcXVlc3QinAEKDVdhdGNoUmVzcG9uc2USLAoGaGVhZGVyGAEgASgLMhwuZXRjZHNlcnZlcnBiLlJlc3BvbnNlSGVhZGVyEg8KB2NyZWF0ZWQYAyABKAgSEAoIY2FuY2VsZWQYBCABKAgSFQoNY2FuY2VsX3JlYXNvbhgGIAEoCRIjCgZldmVudHMYCyADKAsyEy5ldGNkc2VydmVycGIuRXZlbnQiOQoFRXZlbnQSDAoEdHlwZRgBIAEoBRIiCgJrdhgCIAEoCzIWLmV0Y2RzZXJ2ZXJwYi5LZXlWYWx1ZSIsChFMZWFzZUdyYW50UmVxdWVzdBILCgN0dGwYASABKAMSCgoCaWQYAiABKAMiTwoSTGVhc2VHcmFudFJlc3BvbnNlEiwKBmhlYWRlchgBIAEoCzIcLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZUhlYWRlchILCgN0dGwYAyABKAMiIAoSTGVhc2VSZXZva2VSZXF1ZXN0EgoKAmlkGAEgASgDIkMKE0xlYXNlUmV2b2tlUmVzcG9uc2USLAoGaGVhZGVyGAEgASgLMhwuZXRjZHNlcnZlcnBiLlJlc3BvbnNlSGVhZGVyIiMKFUxlYXNlS2VlcEFsaXZlUmVxdWVzdBIKCgJpZBgBIAEoAyJTChZMZWFzZUtlZXBBbGl2ZVJlc3BvbnNlEiwKBmhlYWRlchgBIAEoCzIcLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZUhlYWRlchILCgN0dGwYAyABKAMiEwoRTWVtYmVyTGlzdFJlcXVlc3QiaQoSTWVtYmVyTGlzdFJlc3BvbnNlEiwKBmhlYWRlchgBIAEoCzIcLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZUhlYWRlchIlCgdtZW1iZXJzGAIgAygLMhQuZXRjZHNlcnZlcnBiLk1lbWJlciIdCgZNZW1iZXISEwoLY2xpZW50X3VybHMYBCADKAkiNQoTQXV0aGVudGljYXRlUmVxdWVzdBIMCgRuYW1lGAEgASgJEhAKCHBhc3N3b3JkGAIgASgJIlMKFEF1dGhlbnRpY2F0ZVJlc3BvbnNlEiwKBmhlYWRlchgBIAEoCzIcLmV0Y2RzZXJ2ZXJwYi5SZXNwb25zZUhlYWRlchINCgV0b2tlbhgCIAEoCTK+AQoCS1YSQAoFUmFuZ2USGi5ldGNkc2VydmVycGIuUmFuZ2VSZXF1ZXN0GhsuZXRjZHNlcnZlcnBiLlJhbmdlUmVzcG9uc2USOgoDUHV0EhguZXRjZHNlcnZlcnBiLlB1dFJlcXVlc3QaGS5ldGNkc2VydmVycGIuUHV0UmVzcG9uc2USOgoDVHhuEhguZXRjZHNlcnZlcnBiLlR4blJlcXVlc3QaGS5ldGNkc2VydmVycGIuVHhuUmVzcG9uc2UyTQoFV2F0Y2gSRAoFV2F0Y2gSGi5ldGNkc2VydmVycGIuV2F0Y2hSZXF1ZXN0GhsuZXRjZHNlcnZlcnBiLldhdGNoUmVzcG9uc2UoATABMo0CCgVMZWFzZRJPCgpMZWFzZUdyYW50Eh8uZXRjZHNlcnZlcnBiLkxlYXNlR3JhbnRSZXF1ZXN0GiAuZXRjZHNlcnZlcnBiLkxlYXNlR3JhbnRSZXNwb25zZRJSCgtMZWFzZVJldm9rZRIgLmV0Y2RzZXJ2ZXJwYi5MZWFzZVJldm9rZVJlcXVlc3QaIS5ldGNkc2VydmVycGIuTGVhc2VSZXZva2VSZXNwb25zZRJfCg5MZWFzZUtlZXBBbGl2ZRIjLmV0Y2RzZXJ2ZXJwYi5MZWFzZUtlZXBBbGl2ZVJlcXVlc3QaJC5ldGNkc2VydmVycGIuTGVhc2VLZWVwQWxpdmVSZXNwb25zZSgBMAEyWgoHQ2x1c3RlchJPCgpNZW1iZXJMaXN0Eh8uZXRjZHNlcnZlcnBiLk1lbWJlckxpc3RSZXF1ZXN0GiAuZXRjZHNlcnZlcnBiLk1lbWJlckxpc3RSZXNwb25zZTJdCgRBdXRoElUKDEF1dGhlbnRpY2F0ZRIhLmV0Y2RzZXJ2ZXJwYi5BdXRoZW50aWNhdGVSZXF1ZXN0GiIuZXRjZHNlcnZlcnBiLkF1dGhlbnRpY2F0ZVJlc3BvbnNlYgZwcm90bzM',
);

/** The message `ResponseHeader`. */
export type ResponseHeader = Message<'etcdserverpb.ResponseHeader'> & {
  clusterId: bigint;
  memberId: bigint;
  revision: bigint;
};

/** The message `KeyValue`. */
export type KeyValue = Message<'etcdserverpb.KeyValue'> & {
  key: Uint8Array;
  createRevision: bigint;
  modRevision: bigint;
  value: Uint8Array;
  lease: bigint;
};

/** The message `RangeRequest`. */
export type RangeRequest = Message<'etcdserverpb.RangeRequest'> & {
  key: Uint8Array;
  rangeEnd: Uint8Array;
  serializable: boolean;
  countOnly: boolean;
};

export const RangeRequestSchema: GenMessage<RangeRequest> = messageDesc(file_etcd, 2);

/** The message `RangeResponse`. */
export type RangeResponse = Message<'etcdserverpb.RangeResponse'> & {
  header?: ResponseHeader | undefined;
  kvs: KeyValue[];
};

export const RangeResponseSchema: GenMessage<RangeResponse> = messageDesc(file_etcd, 3);

/** The message `PutRequest`. */
export type PutRequest = Message<'etcdserverpb.PutRequest'> & {
  key: Uint8Array;
  value: Uint8Array;
  lease: bigint;
};

export const PutRequestSchema: GenMessage<PutRequest> = messageDesc(file_etcd, 4);

/** The message `PutResponse`. */
export type PutResponse = Message<'etcdserverpb.PutResponse'> & {
  header?: ResponseHeader | undefined;
};

export const PutResponseSchema: GenMessage<PutResponse> = messageDesc(file_etcd, 5);

/** The message `DeleteRangeRequest`. */
export type DeleteRangeRequest = Message<'etcdserverpb.DeleteRangeRequest'> & {
  key: Uint8Array;
};

/** The message `RequestOp`. */
export type RequestOp = Message<'etcdserverpb.RequestOp'> & {
  request:
    | {
        value: RangeRequest;
        case: 'requestRange';
      }
    | {
        value: PutRequest;
        case: 'requestPut';
      }
    | {
        value: DeleteRangeRequest;
        case: 'requestDeleteRange';
      }
    | { case: undefined; value?: undefined };
};

/** The message `ResponseOp`. */
export type ResponseOp = Message<'etcdserverpb.ResponseOp'> & {
  response:
    | {
        value: RangeResponse;
        case: 'responseRange';
      }
    | { case: undefined; value?: undefined };
};

/** The message `Compare`. */
export type Compare = Message<'etcdserverpb.Compare'> & {
  result: number;
  target: number;
  key: Uint8Array;
  targetUnion:
    | {
        value: bigint;
        case: 'modRevision';
      }
    | { case: undefined; value?: undefined };
};

/** The message `TxnRequest`. */
export type TxnRequest = Message<'etcdserverpb.TxnRequest'> & {
  compare: Compare[];
  success: RequestOp[];
};

export const TxnRequestSchema: GenMessage<TxnRequest> = messageDesc(file_etcd, 10);

/** The message `TxnResponse`. */
export type TxnResponse = Message<'etcdserverpb.TxnResponse'> & {
  header?: ResponseHeader | undefined;
  succeeded: boolean;
  responses: ResponseOp[];
};

export const TxnResponseSchema: GenMessage<TxnResponse> = messageDesc(file_etcd, 11);

/** The message `WatchRequest`. */
export type WatchRequest = Message<'etcdserverpb.WatchRequest'> & {
  requestUnion:
    | {
        value: WatchCreateRequest;
        case: 'createRequest';
      }
    | {
        value: WatchProgressRequest;
        case: 'progressRequest';
      }
    | { case: undefined; value?: undefined };
};

export const WatchRequestSchema: GenMessage<WatchRequest> = messageDesc(file_etcd, 12);

/** The message `WatchCreateRequest`. */
export type WatchCreateRequest = Message<'etcdserverpb.WatchCreateRequest'> & {
  key: Uint8Array;
  rangeEnd: Uint8Array;
};

/** The message `WatchProgressRequest`. */
export type WatchProgressRequest = Message<'etcdserverpb.WatchProgressRequest'> & {};

/** The message `WatchResponse`. */
export type WatchResponse = Message<'etcdserverpb.WatchResponse'> & {
  header?: ResponseHeader | undefined;
  created: boolean;
  canceled: boolean;
  cancelReason: string;
  events: Event[];
};

export const WatchResponseSchema: GenMessage<WatchResponse> = messageDesc(file_etcd, 15);

/** The message `Event`. */
export type Event = Message<'etcdserverpb.Event'> & {
  type: number;
  kv?: KeyValue | undefined;
};

/** The message `LeaseGrantRequest`. */
export type LeaseGrantRequest = Message<'etcdserverpb.LeaseGrantRequest'> & {
  ttl: bigint;
  id: bigint;
};

export const LeaseGrantRequestSchema: GenMessage<LeaseGrantRequest> = messageDesc(file_etcd, 17);

/** The message `LeaseGrantResponse`. */
export type LeaseGrantResponse = Message<'etcdserverpb.LeaseGrantResponse'> & {
  header?: ResponseHeader | undefined;
  ttl: bigint;
};

export const LeaseGrantResponseSchema: GenMessage<LeaseGrantResponse> = messageDesc(file_etcd, 18);

/** The message `LeaseRevokeRequest`. */
export type LeaseRevokeRequest = Message<'etcdserverpb.LeaseRevokeRequest'> & {
  id: bigint;
};

export const LeaseRevokeRequestSchema: GenMessage<LeaseRevokeRequest> = messageDesc(file_etcd, 19);

/** The message `LeaseRevokeResponse`. */
export type LeaseRevokeResponse = Message<'etcdserverpb.LeaseRevokeResponse'> & {
  header?: ResponseHeader | undefined;
};

export const LeaseRevokeResponseSchema: GenMessage<LeaseRevokeResponse> = messageDesc(file_etcd, 20);

/** The message `LeaseKeepAliveRequest`. */
export type LeaseKeepAliveRequest = Message<'etcdserverpb.LeaseKeepAliveRequest'> & {
  id: bigint;
};

export const LeaseKeepAliveRequestSchema: GenMessage<LeaseKeepAliveRequest> = messageDesc(file_etcd, 21);

/** The message `LeaseKeepAliveResponse`. */
export type LeaseKeepAliveResponse = Message<'etcdserverpb.LeaseKeepAliveResponse'> & {
  header?: ResponseHeader | undefined;
  ttl: bigint;
};

export const LeaseKeepAliveResponseSchema: GenMessage<LeaseKeepAliveResponse> = messageDesc(file_etcd, 22);

/** The message `MemberListRequest`. */
export type MemberListRequest = Message<'etcdserverpb.MemberListRequest'> & {};

export const MemberListRequestSchema: GenMessage<MemberListRequest> = messageDesc(file_etcd, 23);

/** The message `MemberListResponse`. */
export type MemberListResponse = Message<'etcdserverpb.MemberListResponse'> & {
  header?: ResponseHeader | undefined;
  members: Member[];
};

export const MemberListResponseSchema: GenMessage<MemberListResponse> = messageDesc(file_etcd, 24);

/** The message `Member`. */
export type Member = Message<'etcdserverpb.Member'> & {
  clientUrls: string[];
};

/** The message `AuthenticateRequest`. */
export type AuthenticateRequest = Message<'etcdserverpb.AuthenticateRequest'> & {
  name: string;
  password: string;
};

export const AuthenticateRequestSchema: GenMessage<AuthenticateRequest> = messageDesc(file_etcd, 26);

/** The message `AuthenticateResponse`. */
export type AuthenticateResponse = Message<'etcdserverpb.AuthenticateResponse'> & {
  header?: ResponseHeader | undefined;
  token: string;
};

export const AuthenticateResponseSchema: GenMessage<AuthenticateResponse> = messageDesc(file_etcd, 27);

/** The service `KV`. */
export const KV: GenService<{
  range: {
    methodKind: 'unary';
    input: typeof RangeRequestSchema;
    output: typeof RangeResponseSchema;
  };
  put: {
    methodKind: 'unary';
    input: typeof PutRequestSchema;
    output: typeof PutResponseSchema;
  };
  txn: {
    methodKind: 'unary';
    input: typeof TxnRequestSchema;
    output: typeof TxnResponseSchema;
  };
}> = serviceDesc(file_etcd, 0);

/** The service `Watch`. */
export const Watch: GenService<{
  watch: {
    methodKind: 'bidi_streaming';
    input: typeof WatchRequestSchema;
    output: typeof WatchResponseSchema;
  };
}> = serviceDesc(file_etcd, 1);

/** The service `Lease`. */
export const Lease: GenService<{
  leaseGrant: {
    methodKind: 'unary';
    input: typeof LeaseGrantRequestSchema;
    output: typeof LeaseGrantResponseSchema;
  };
  leaseRevoke: {
    methodKind: 'unary';
    input: typeof LeaseRevokeRequestSchema;
    output: typeof LeaseRevokeResponseSchema;
  };
  leaseKeepAlive: {
    methodKind: 'bidi_streaming';
    input: typeof LeaseKeepAliveRequestSchema;
    output: typeof LeaseKeepAliveResponseSchema;
  };
}> = serviceDesc(file_etcd, 2);

/** The service `Cluster`. */
export const Cluster: GenService<{
  memberList: {
    methodKind: 'unary';
    input: typeof MemberListRequestSchema;
    output: typeof MemberListResponseSchema;
  };
}> = serviceDesc(file_etcd, 3);

/** The service `Auth`. */
export const Auth: GenService<{
  authenticate: {
    methodKind: 'unary';
    input: typeof AuthenticateRequestSchema;
    output: typeof AuthenticateResponseSchema;
  };
}> = serviceDesc(file_etcd, 4);
