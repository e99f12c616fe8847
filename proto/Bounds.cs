namespace Cheops.Proto;

/// <summary>
/// Every bound that a request, a frame, a scope or a queue meets, in one place. Sizes are in bytes, times in
/// milliseconds. How the bounds relate to one another is asserted by the unit test <c>BoundsTests</c>.
/// </summary>
public static class Bounds
{
    /// <summary>Largest head of a request or response: start line and all fields, with the blank line.</summary>
    public const int HeadSizeMax = 64 * 1024;

    /// <summary>Most field lines in one head, and most trailer fields of one message.</summary>
    public const int FieldCountMax = 200;

    /// <summary>Largest buffer with a head that a connection keeps while it waits for its next message.</summary>
    public const int HeadKeptSizeMax = 4 * 1024;

    /// <summary>Field lines for which a connection keeps room while it waits for its next message.</summary>
    public const int FieldsKeptMax = 32;

    /// <summary>Longest request target.</summary>
    public const int TargetSizeMax = 32 * 1024;

    /// <summary>Most bytes of chunk extensions in one chunk head.</summary>
    public const int ChunkExtensionSizeMax = 256;

    /// <summary>Most bytes of the whole trailer section of one message.</summary>
    public const int TrailerSizeMax = 8 * 1024;

    /// <summary>Longest scope, as text after percent-decoding.</summary>
    public const int ScopeLengthMax = 4096;

    /// <summary>Deepest nesting of parentheses in a scope.</summary>
    public const int ScopeDepthMax = 32;

    /// <summary>Longest round-trip time that <c>around</c> takes, in milliseconds.</summary>
    public const long ScopeDurationMaxMs = 3_600_000;

    /// <summary>Longest scope text whose tree is remembered for the next request.</summary>
    public const int ScopeCachedLengthMax = 512;

    /// <summary>Most scope trees remembered.</summary>
    public const int ScopeCacheCountMax = 4096;

    /// <summary>Most sites that one plan names, counted before what occurs twice is dropped.</summary>
    public const int PlanSiteCountMax = 4096;

    /// <summary>Most locations that the <c>Cheops-Plan</c> header tells of one by one.</summary>
    public const int PlanTrailCountMax = 32;

    /// <summary>Largest profile document.</summary>
    public const int ProfileSizeMax = 1024 * 1024;

    /// <summary>Most mistakes of one profile that are told.</summary>
    public const int ProfileMistakeCountMax = 100;

    /// <summary>Most workflows that are remembered; past it the oldest finished one is forgotten early.</summary>
    public const int WorkflowCountMax = 65_536;

    /// <summary>How long a workflow is remembered after its answer, unless its service's profile says otherwise.</summary>
    public const int WorkflowKeepMs = 60_000;

    /// <summary>Longest time a profile may have a workflow remembered after its answer.</summary>
    public const int WorkflowKeepMaxMs = 24 * 3_600_000;

    /// <summary>Most workflows that are known to have been forgotten, so that a late sub-request of one is told from others.</summary>
    public const int WorkflowGoneCountMax = 32_768;

    /// <summary>How long, after the last one was forgotten, it is known which workflows were.</summary>
    public const int WorkflowGoneKeepMs = 4 * 3_600_000;

    /// <summary>How often workflows that have expired are looked for.</summary>
    public const int WorkflowSweepMs = 10_000;

    /// <summary>Most ids besides its own by which one workflow is known.</summary>
    public const int WorkflowAliasCountMax = 8;

    /// <summary>Longest id, chosen by clients or services, by which a workflow is known.</summary>
    public const int WorkflowAliasLengthMax = 128;

    /// <summary>Most sites in a mesh.</summary>
    public const int SiteCountMax = 1024;

    /// <summary>Longest name of a site (DESIGN.md section 2).</summary>
    public const int SiteNameLengthMax = 63;

    /// <summary>Longest name of a service.</summary>
    public const int ServiceNameLengthMax = 63;

    /// <summary>Bytes of one kept body (one that may have to be sent again) held in memory before it goes to disk.</summary>
    public const int BodyMemorySizeMax = 256 * 1024;

    /// <summary>Largest body that is kept.</summary>
    public const long BodySpillSizeMax = 16L * 1024 * 1024 * 1024;

    /// <summary>Disk that all kept bodies together may take.</summary>
    public const long BodySpillTotalMax = 32L * 1024 * 1024 * 1024;

    /// <summary>How long the answer of a token review is believed (the default of kube-apiserver's own webhook cache).</summary>
    public const int TokenReviewTtlMs = 10_000;

    /// <summary>Most reviewed tokens remembered.</summary>
    public const int TokenReviewCountMax = 4096;

    /// <summary>Largest file of a service credential, and longest token, in bytes.</summary>
    public const int CredentialSizeMax = 16 * 1024;

    /// <summary>A token of the site's own is replaced so long before it expires: a request takes its time, and clocks differ.</summary>
    public const int TokenRenewBeforeMs = 60_000;

    /// <summary>After no token could be obtained, none is asked for so long: identity services lock out who fails often.</summary>
    public const int CredentialPauseMs = 10_000;

    /// <summary>Longest name of a user or group that is asserted to a service.</summary>
    public const int UserNameLengthMax = 512;

    /// <summary>Most groups of one user.</summary>
    public const int UserGroupCountMax = 128;

    /// <summary>Buffer in which a connection waits for a head.</summary>
    public const int SmallBufferSize = 4 * 1024;

    /// <summary>Buffer of a connection whose reads fill it.</summary>
    public const int LargeBufferSize = 64 * 1024;

    /// <summary>Most small buffers kept for use again.</summary>
    public const int SmallBufferCountMax = 2048;

    /// <summary>Most large buffers kept for use again.</summary>
    public const int LargeBufferCountMax = 64;

    /// <summary>Channels of which each may hold a small buffer while it waits; those past them hold none.</summary>
    public const int BufferedIdleChannelsMax = 1536;

    /// <summary>Largest head and piece of a body that are joined into one send by copying.</summary>
    public const int JoinedSendSizeMax = 16 * 1024;

    /// <summary>Most connections at one listener.</summary>
    public const int ListenerConnectionsMax = 16_384;

    /// <summary>Most requests under way at one listener; past it 503.</summary>
    public const int ListenerRequestsMax = 8_192;

    /// <summary>Most combinations of method, scheme and status that one metric tells apart; past it statuses are told by their class.</summary>
    public const int DurationSeriesMax = 256;

    /// <summary>Pending connections that the kernel keeps for a listener.</summary>
    public const int ListenBacklog = 1024;

    /// <summary>How long a connection may wait for the first byte of its next request.</summary>
    public const int IdleTimeMaxMs = 120_000;

    /// <summary>How long a head may take from its first byte to its last.</summary>
    public const int HeadTimeMaxMs = 15_000;

    /// <summary>How long a client may keep the agent waiting for the next piece of a body.</summary>
    public const int BodyStallTimeMaxMs = 60_000;

    /// <summary>
    /// Fewest bytes a second of a client's body, over the time for which the agent has to wait for it: each byte gives back its
    /// share of <see cref="BodyStallTimeMaxMs"/>, which is spent by waiting, so that a body that drips ends although no piece of it is late.
    /// </summary>
    public const int BodyRateMin = 240;

    /// <summary>How long a client may keep the agent waiting to take the next piece of an answer.</summary>
    public const int WriteStallTimeMaxMs = 60_000;

    /// <summary>How long a service may take from the request's last byte to the head of its answer.</summary>
    public const int AnswerTimeMaxMs = 600_000;

    /// <summary>How long a tunnel (after an upgrade) may carry nothing.</summary>
    public const int TunnelIdleTimeMaxMs = 4 * 3_600_000;

    /// <summary>How long what a client still sends is read and dropped after it was answered.</summary>
    public const int LingerTimeMaxMs = 30_000;

    /// <summary>How long what a client still sends is awaited after a refusal.</summary>
    public const int LingerStallTimeMaxMs = 2_000;

    /// <summary>How long a connection to a service instance may take to be made, TLS included.</summary>
    public const int ConnectTimeMaxMs = 5_000;

    /// <summary>How long a TLS handshake of a client may take.</summary>
    public const int HandshakeTimeMaxMs = 10_000;

    /// <summary>Connections to one service instance kept for use again.</summary>
    public const int PoolIdleCountMax = 256;

    /// <summary>How long a connection to a service instance is kept unused; below what common servers keep theirs.</summary>
    public const int PoolIdleTimeMaxMs = 30_000;

    /// <summary>How often deadlines are looked at: none passes early, and none more than two of these late.</summary>
    public const int DeadlineSweepMs = 250;

    /// <summary>How long requests under way may go on after SIGTERM.</summary>
    public const int DrainTimeMaxMs = 25_000;

    /// <summary>How long a request of the agent's own to a service may take.</summary>
    public const int OwnCallTimeMaxMs = 10_000;

    /// <summary>Largest body of an answer that the agent keeps for itself (token reviews, versions).</summary>
    public const int OwnCallAnswerSizeMax = 1024 * 1024;

    /// <summary>Most bytes that are read and dropped after a connection's last answer.</summary>
    public const long LingerSizeMax = 64L * 1024 * 1024;

    /// <summary>How long a listener waits before it tries again when the system has no connection to give.</summary>
    public const int AcceptPauseMs = 100;

    // ---- links between sites ----

    /// <summary>How often each link carries a heartbeat in each direction.</summary>
    public const int HeartbeatMs = 1_000;

    /// <summary>Heartbeats that may be missing, in either direction, before a site is down.</summary>
    public const int HeartbeatsMissedMax = 3;

    /// <summary>Largest payload of one frame: with its header below the <c>max_payload</c> of nats-server.</summary>
    public const int FramePayloadSizeMax = 128 * 1024;

    /// <summary>Largest piece of a stream in one frame.</summary>
    public const int StreamChunkSizeMax = 64 * 1024;

    /// <summary>Bytes of each direction of a stream that go over the control link: heads and small answers never wait behind bulk.</summary>
    public const int StreamControlSizeMax = 64 * 1024;

    /// <summary>Window of a stream before its reader has taken anything.</summary>
    public const int StreamWindowStartSize = 64 * 1024;

    /// <summary>Largest window of one stream.</summary>
    public const int StreamWindowSizeMax = 4 * 1024 * 1024;

    /// <summary>What the windows of all streams of a site may add up to, beyond what each starts with.</summary>
    public const long StreamWindowBudget = 24L * 1024 * 1024;

    /// <summary>Bytes received from other sites that may wait to be read, over all streams; a stream that would go past it is reset.</summary>
    public const long LinkReceivedHeldMax = 96L * 1024 * 1024;

    /// <summary>Buffer into which small pieces of a stream are gathered, so that a stream of single bytes costs no more than its window.</summary>
    public const int StreamGatherSize = 4 * 1024;

    /// <summary>Most resets that wait to be sent on one link; a peer that provokes more loses its streams.</summary>
    public const int LinkResetsQueuedMax = 1024;

    /// <summary>How long a bulk lane may owe an acknowledgement before its frames count as lost.</summary>
    public const int BulkSilenceMaxMs = 30_000;

    /// <summary>Heartbeats that are sent out of turn between two in turn, so that a link comes up at once.</summary>
    public const int HeartbeatAnswersMax = 4;

    /// <summary>How often a link is judged.</summary>
    public const int LinkTickMs = HeartbeatMs / 4;

    /// <summary>Most streams open on one link.</summary>
    public const int LinkStreamsMax = 4096;

    /// <summary>Bytes in flight on a bulk link before its speed is known: four chunks.</summary>
    public const int BulkWindowStartSize = 4 * StreamChunkSizeMax;

    /// <summary>Fewest bytes in flight on a bulk link.</summary>
    public const int BulkWindowSizeMin = 2 * StreamChunkSizeMax;

    /// <summary>Most bytes in flight on a bulk link.</summary>
    public const int BulkWindowSizeMax = 8 * 1024 * 1024;

    /// <summary>How long an opening is worth carrying out.</summary>
    public const int OpenTimeMaxMs = 5_000;

    /// <summary>Longest detail in a reset.</summary>
    public const int ResetDetailSizeMax = 512;

    /// <summary>Most services that a heartbeat names.</summary>
    public const int HeartbeatServicesMax = 256;

    /// <summary>Pause before nats-server is started again, at first.</summary>
    public const int NatsRestartPauseMinMs = 200;

    /// <summary>Longest pause before nats-server is started again.</summary>
    public const int NatsRestartPauseMaxMs = 10_000;

    /// <summary>How long the local nats-server may keep a message from being taken.</summary>
    public const int LinkSendTimeMaxMs = 5_000;

    /// <summary>Longest value of a setting, in characters.</summary>
    public const int SettingLengthMax = 64 * 1024;

    /// <summary>Most entries of <c>CHEOPS_SERVICES</c>.</summary>
    public const int ServiceCountMax = 256;

    /// <summary>Largest file of environment variables.</summary>
    public const int EnvironmentFileSizeMax = 256 * 1024;

    /// <summary>Largest file of certificates or a key (all authorities of a system are about 250 KiB).</summary>
    public const int CertificateFileSizeMax = 2 * 1024 * 1024;

    /// <summary>Longest line of the log, in characters; longer values are cut.</summary>
    public const int LogLineLengthMax = 8 * 1024;

    /// <summary>Most log lines that wait to be written; further ones are dropped and counted.</summary>
    public const int LogQueueCountMax = 4096;

    /// <summary>Largest answer of an agent's API that a command reads.</summary>
    public const int ApiAnswerSizeMax = 16 * 1024 * 1024;

    /// <summary>How long a command waits for an agent's API.</summary>
    public const int ApiTimeMaxMs = 5_000;

    /// <summary>How long a replicant is looked for among all of them by a name alone; less than a command waits.</summary>
    public const int NameSearchTimeMaxMs = 2_000;

    /// <summary>Most connections at once through the proxy of <c>cheops run</c>.</summary>
    public const int RunProxyConnectionsMax = 1024;

    // ---- operation log ----

    /// <summary>Largest payload of one record: a body of <see cref="BodyMemorySizeMax"/> with its head and ids; it fits on a page.</summary>
    public const int LogPayloadSizeMax = 384 * 1024;

    /// <summary>Size of a page of the operation log, as a power of two (512 KiB). A record never spans two pages.</summary>
    public const int LogPageSizeBits = 19;

    /// <summary>Memory that holds the newest pages of the operation log, as a power of two (4 MiB).</summary>
    public const int LogMemorySizeBits = 22;

    /// <summary>Size of one file of the operation log, as a power of two (4 MiB): what is no longer needed is given back in such pieces.</summary>
    public const int LogSegmentSizeBits = 22;

    /// <summary>Bytes appended to the operation log that are not yet on stable storage; appends past it wait.</summary>
    public const int LogInFlightSizeMax = 2 * 1024 * 1024;

    /// <summary>
    /// Bytes of room that the operation log keeps for what becomes of operations that are accepted already: with less, new ones are
    /// refused, as on a full disk.
    /// </summary>
    public const int LogReserveSize = 2 * 1024 * 1024;

    /// <summary>Bytes that a record of the operation log takes beside what it carries, and a little for what that is framed in.</summary>
    public const int LogRecordOverhead = 128;

    /// <summary>Looks at a log that has grown between two tries to give it back, when nothing could be given back the last times.</summary>
    public const int LogReclaimTicksMax = 16;

    /// <summary>
    /// Milliseconds after a commit of the operation log until its slots tell of it. Damage of what was appended after that can be mistaken for
    /// what a crash left half written.
    /// </summary>
    public const int LogSlotDelayMs = 100;

    /// <summary>Most appends that wait for room; further ones are refused.</summary>
    public const int LogAppendsWaitingMax = 8192;

    /// <summary>Largest OpenAPI document from which a profile is inferred (Kubernetes' has 5 MB).</summary>
    public const int OpenApiSizeMax = 32 * 1024 * 1024;

    // ---- groups (raft/) ------------------------------------------------------------------------------------------

    /// <summary>Bytes of one entry of a group's log, or of one piece of a snapshot; a record's payload must hold it with its framing.</summary>
    public const int GroupEntrySizeMax = 352 * 1024;

    /// <summary>Largest index of an entry, and largest term; a record that tells of more is none that a group has written.</summary>
    public const ulong GroupIndexMax = 1UL << 62;

    /// <summary>Largest message between the hosts of two sites, before it is cut into frames: one largest entry and its framing.</summary>
    public const int GroupMessageSizeMax = GroupEntrySizeMax + 4 * 1024;

    /// <summary>Bytes of entries sent in one append, unless a single entry is larger.</summary>
    public const int GroupAppendSizeMax = 256 * 1024;

    /// <summary>Bytes held of one site's messages whose fragments have not all arrived.</summary>
    public const int GroupPartialSizeMax = 4 * GroupMessageSizeMax;

    /// <summary>Most questions of one site that are being answered at once; further ones are dropped, as lost ones are.</summary>
    public const int GroupQuestionsMax = 4096;

    /// <summary>Most entries that are proposed at one site to one group and not applied yet; further ones are refused as busy.</summary>
    public const int GroupProposalsMax = 4096;

    /// <summary>Bytes of a group's newest entries kept in memory, so that they need not be read again; more only while they are not durable.</summary>
    public const int GroupRecentSizeMax = 256 * 1024;

    /// <summary>Bytes of the newest entries of all groups of a site kept in memory; more only while they are not durable.</summary>
    public const long GroupRecentTotalMax = 8L * 1024 * 1024;

    /// <summary>Groups that a site is removed from at once.</summary>
    public const int GroupRemovalsMax = 16;

    /// <summary>How long one site tries to remove another from its groups, in milliseconds; what is not decided by then is told as not done.</summary>
    public const int SiteRemovalTimeMaxMs = 20_000;

    /// <summary>How long the command waits until a site, and the others that it asks, have told what became of it, in milliseconds.</summary>
    public const int SiteRemovalAnswerTimeMaxMs = 10 * SiteRemovalTimeMaxMs;

    /// <summary>Fewest operations, of those that have not faded, of which a leader tells where most of them come from.</summary>
    public const int GroupLeadOperationsMin = 20;

    /// <summary>Share of a group's operations, in percent, from which on the site that sends them is given the lead.</summary>
    public const int GroupLeadPercentMin = 67;

    /// <summary>Most groups that a site is a member of.</summary>
    public const int GroupCountMax = 65_536;

    // ---- the replicant table and contents (store/) -----------------------------------------------------------------

    /// <summary>Bytes of a key of the replicant table.</summary>
    public const int TableKeySizeMax = 4 * 1024;

    /// <summary>Bytes of a value of the replicant table.</summary>
    public const int TableValueSizeMax = 384 * 1024;

    /// <summary>Bytes of the mark of a checkpoint.</summary>
    public const int TableMarkSizeMax = 1024 * 1024;

    /// <summary>Size of a page of the table's log, as a power of two (512 KiB). A record never spans two pages.</summary>
    public const int TablePageSizeBits = 19;

    /// <summary>Memory that holds the newest pages of the table's log, as a power of two (4 MiB).</summary>
    public const int TableMemorySizeBits = 22;

    /// <summary>Size of one file of the table's log, as a power of two (4 MiB): what is no longer needed is given back in such pieces.</summary>
    public const int TableSegmentSizeBits = 22;

    /// <summary>Largest body that is kept durably.</summary>
    public const long ContentSizeMax = 16L * 1024 * 1024 * 1024;

    /// <summary>Disk that all durably kept bodies together may take, whole and partial.</summary>
    public const long ContentTotalMax = 64L * 1024 * 1024 * 1024;

    // ---- translation of ids (agent/Translation) ----------------------------------------------------------------------

    /// <summary>Longest name, string or number of a JSON text that is looked at; longer ones pass as they are.</summary>
    public const int JsonTokenSizeMax = 8 * 1024;

    /// <summary>Deepest nesting of a JSON text that is read; what is deeper passes as it is.</summary>
    public const int JsonDepthMax = 1024;

    /// <summary>Segments of a path, from its start, in which ids are translated.</summary>
    public const int TranslatedSegmentsMax = 64;

    /// <summary>White space before a member that may be removed, kept as it is; more of it in one place is dropped.</summary>
    public const int JsonSpaceKeptMax = 1024;

    /// <summary>Bytes from the start of a Kubernetes protobuf body in which the object's name is looked for.</summary>
    public const int ProtobufPrefixSizeMax = 64 * 1024;

    // ---- replication (agent/Replication) -------------------------------------------------------------------------------

    /// <summary>Sites of one group, its witness among them.</summary>
    public const int GroupSitesMax = 64;

    /// <summary>Bytes of a resource's id.</summary>
    public const int LocalIdSizeMax = 1024;

    /// <summary>Bytes of a credential sealed for one site.</summary>
    public const int SealedSizeMax = 16 * 1024;

    /// <summary>Bytes that a group remembers of the answer with which a service refused an operation.</summary>
    public const int AnswerExcerptSizeMax = 1024;

    /// <summary>Bytes of a service's answer to an operation.</summary>
    public const int OperationAnswerSizeMax = 4 * 1024 * 1024;

    /// <summary>How long a client waits for the outcome of its operation before it is answered with 504, in milliseconds.</summary>
    public const int OperationWaitMaxMs = 50_000;

    /// <summary>
    /// How long after its sender has gone a service may still carry out a request, in milliseconds: what may have been under way
    /// when the agent ended is neither looked for nor sent again before so long after the start.
    /// </summary>
    public const int AbandonedTimeMaxMs = 5_000;

    /// <summary>How long a deciding site may be out of reach before another one decides, in milliseconds.</summary>
    public const int DeciderSilentMaxMs = 5_000;

    /// <summary>How long a request waits after a start until it is known whether it names a replicant, in milliseconds.</summary>
    public const int SettleTimeMaxMs = 5_000;

    /// <summary>Sites that are asked, nearest first, whether a path names a replicant of theirs.</summary>
    public const int ElsewhereSitesMax = 128;

    /// <summary>How long they have to answer, in milliseconds.</summary>
    public const int ElsewhereTimeMaxMs = 1_000;

    /// <summary>How long it is remembered what they said of a path, in milliseconds.</summary>
    public const int ElsewhereKeepMs = 2_000;

    /// <summary>Paths of which that is remembered; while it is of so many, no site is asked of another one.</summary>
    public const int ElsewhereKeptMax = 256;

    /// <summary>
    /// How long a path of which a resource was deleted here means this site's own, in milliseconds: a DELETE that comes twice must
    /// not delete a replicant of that name at other sites.
    /// </summary>
    public const int ElsewhereDeletedKeepMs = 600_000;

    /// <summary>Paths of which that is remembered; past them the oldest is forgotten.</summary>
    public const int ElsewhereDeletedKeptMax = 1_024;

    /// <summary>Heartbeats between two checkpoints of the replicant table.</summary>
    public const int CheckpointTicks = 10;

    /// <summary>Shortest pause before a following site tries an operation again, in milliseconds; doubled each time.</summary>
    public const int FollowPauseMinMs = 100;

    /// <summary>How long a following site's service may say "not allowed" or "not there" before that counts as a refusal, in milliseconds.</summary>
    public const int FollowRefusedMs = 30_000;

    /// <summary>Longest pause before a following site tries an operation again, in milliseconds.</summary>
    public const int FollowPauseMaxMs = 15_000;

    /// <summary>
    /// Operations of which something is sent at one time to one service of a site: so many that this site decides, and so many that
    /// it follows.
    /// </summary>
    public const int OperationsUnderWayMax = 128;

    /// <summary>
    /// How long an operation that this site decides waits until it may be sent to its service, in milliseconds; then it is not
    /// executed, and its client is told so while it still waits.
    /// </summary>
    public const int OperationTurnMaxMs = 30_000;

    /// <summary>Time between two operations that are tried again at a service which answers, and does not carry them out, in milliseconds.</summary>
    public const int RetrySpacingMs = 5;

    /// <summary>How long a following site gathers what it has carried out before it tells the group, in milliseconds.</summary>
    public const int AppliedGatherMs = 20;

    /// <summary>Operations that are told of in one entry.</summary>
    public const int AppliedManyMax = 256;

    /// <summary>Operations of one group that are not finished at all sites; past it new ones are refused as busy.</summary>
    public const int OperationsPendingMax = 100_000;

    /// <summary>Finished operations of one group that are still told of.</summary>
    public const int OperationsFinishedKept = 1_000;

    /// <summary>Bytes of operations' entries kept in memory, of all groups, so that they need not be read again.</summary>
    public const int OperationsKeptSizeMax = 8 * 1024 * 1024;

    /// <summary>Requests that make a replica at a site that is added: its create, and what is below it.</summary>
    public const int MoveCopiesMax = 4;

    /// <summary>Bytes of a body that travels within a move's opening entry; larger ones are kept by their content.</summary>
    public const int MoveCopyBodySizeMax = 64 * 1024;

    /// <summary>Comings and goings of a replicant that a group remembers.</summary>
    public const int MoveMarksKept = 8;

    /// <summary>Sites that a replicant has left last, of which it is known where they had it.</summary>
    public const int FormerSitesMax = 16;

    /// <summary>Groups through which one replicant that has moved on and on is followed, when a request names sites that it has left.</summary>
    public const int MoveHopsMax = 64;

    /// <summary>Bytes of what sites ask each other about moves, and of what is answered.</summary>
    public const int MoveQuestionSizeMax = 64 * 1024;

    /// <summary>How long a site may take to answer what it is asked about a move, in milliseconds.</summary>
    public const int MoveQuestionTimeMaxMs = 10_000;

    /// <summary>How long whoever moves a replicant may take before another member completes the move, in milliseconds.</summary>
    public const int MoverSilentMaxMs = 10_000;

    // ---- everything else -----------------------------------------------------------------------------------------------

    /// <summary>How often the services of a site are asked for their versions.</summary>
    public const int VersionAskMs = 60_000;

    /// <summary>How long until a service whose version is not known yet is asked again.</summary>
    public const int VersionAskAgainMs = 5_000;

    /// <summary>Bytes that one agent may add to a head on its way to another's: what a client may send still arrives.</summary>
    public const int HeadAddedSizeMax = 16 * 1024;

    /// <summary>Field lines that one agent may add to a head on its way to another's.</summary>
    public const int FieldsAddedMax = 56;

    /// <summary>Most hops that <c>Max-Forwards</c> lets a request take; more count as these.</summary>
    public const int MaxForwardsMax = 255;
}
