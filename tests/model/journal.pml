// SPDX-License-Identifier: Apache-2.0
// Hand-over, sync, confirm, reclaim and kill of the journal, for Spin: the order of docs/durability.md. Left out are
// transactions, deliveries, messages in several queues, what the octets look like and what a processor may reorder.
//
// Three messages go through the streams of two shards. The writer takes them in rounds, syncs, says what is safe and
// makes room at the oldest segment. Between any two steps the broker may be killed or the power cut; what recovery
// would find then is compared with what was promised. A number of which the disk holds nothing any more is given to a
// new message, so this life has no end and yet few states.
//
// A set of messages is a byte, a bit for each. A stream only grows, so what was ever pushed stands for its tail.
//
// tests/model/check.py runs this as it stands, and with each mutant: the names that "defined" asks for.

#define SHARDS 2
#define MESSAGES 3
#define MOST_SEGMENTS 4  // then rounds stay in the last one
#define MOST_UNSYNCED 4  // batches: the settle of each message, and one that is synced at once
#define UNTOUCHED 2      // the last segments, which are never reclaimed
#define NOWHERE 255

#define BIT(m) (1 << (m))
#define ADD(set, some) set = set | (some)
#define TAKE(set, some) set = set & ~(some)

// ---- What never happens. A mutant is run for one of these.

#define EARLY 1     // a settle stands in the log before its publish
#define LOST 2      // confirmed, never acknowledged, and not there
#define GONE 4      // confirmed, the acknowledgement is not on the disk, and not there
#define RETURNED 8  // the acknowledgement is on the disk, and yet the message is there
#ifndef COMPARED
#define COMPARED (EARLY | LOST | GONE | RETURNED)
#endif
#define NEVER(what, set) assert(!(COMPARED & what) || (set) == 0)

// ---- The shards.

byte publishes[SHARDS], settles[SHARDS];  // pushed
byte shown;                               // to a queue, or to the mailbox that leads there

// ---- The disk. Recovery reads in order, so of a segment or a batch the last word on each message is enough.

#define MOST_WORDS 8  // MOST_SEGMENTS + MOST_UNSYNCED
byte published[MOST_WORDS], settled[MOST_WORDS];  // by the segments, as far as they are synced; then by the batches
byte segments = 1, unlinked;  // the names of the oldest, `unlinked` many, may or may not be there
byte unsynced;                // batches, all in the last segment; the first of them may be there, none to all

#define WORDS(at) (published[at] | settled[at])
#define ON_DISK (WORDS(0) | WORDS(1) | WORDS(2) | WORDS(3) | WORDS(4) | WORDS(5) | WORDS(6) | WORDS(7))

// ---- The writer.

byte seen_publishes, seen_settles;    // in this round
byte taken_publishes, taken_settles;  // written
byte copies;                          // to be appended again
byte place[MESSAGES] = NOWHERE;       // of a living message: the segment of its record

// ---- What was promised.

byte confirmed;  // publishes of which the shards were told that they are safe
byte buried;     // settles that were synced

// On the shard of the connection that publishes it.
proctype publisher(byte m, shard, home) {
    do
    ::
#if defined SHOWN_BEFORE_HANDED_OVER
        ADD(shown, BIT(m)); ADD(publishes[shard], BIT(m));
#else
        ADD(publishes[shard], BIT(m)); ADD(shown, BIT(m));
#endif
        d_step {  // its number becomes free
            (buried & ~(ON_DISK | seen_publishes | seen_settles) & BIT(m)) != 0;
            TAKE(publishes[shard], BIT(m)); TAKE(settles[home], BIT(m)); TAKE(shown, BIT(m));
            TAKE(taken_publishes, BIT(m)); TAKE(taken_settles, BIT(m)); TAKE(confirmed, BIT(m)); TAKE(buried, BIT(m))
        }
    od
}

// On the shard where the queue lives: sooner, later or never somebody acknowledges the message.
proctype queue(byte m, home) {
    do :: (shown & ~settles[home] & BIT(m)) != 0 -> ADD(settles[home], BIT(m)) od
}

inline look_at_settles(shard) { ADD(seen_settles, settles[shard]) }
inline look_at_publishes(shard) { ADD(seen_publishes, publishes[shard]) }

inline write() {  // one batch: publishes, then copies, then settles
    d_step {
        i = segments + unsynced;
        TAKE(seen_publishes, taken_publishes); TAKE(seen_settles, taken_settles);
        NEVER(EARLY, seen_settles & ~(seen_publishes | taken_publishes));
        published[i] = seen_publishes | copies; settled[i] = seen_settles;
#if defined SETTLES_WRITTEN_FIRST
        TAKE(settled[i], published[i]);
#else
        TAKE(published[i], settled[i]);
#endif
        for (m : 0 .. MESSAGES - 1) {
            place[m] = (published[i] & BIT(m) -> segments - 1 : (settled[i] & BIT(m) -> NOWHERE : place[m]))
        }
        must_sync = no_room || seen_publishes;
#if !defined REMOVE_BEFORE_SYNC
        must_sync = must_sync || copies;
#endif
        unsynced++; ADD(taken_publishes, seen_publishes); ADD(taken_settles, seen_settles);
        seen_publishes = 0; seen_settles = 0; copies = 0; i = 0; m = 0
    }
}

inline sync() {
    d_step {
        for (i : segments .. segments + unsynced - 1) {
            TAKE(published[segments - 1], settled[i]); ADD(published[segments - 1], published[i]);
            TAKE(settled[segments - 1], published[i]); ADD(settled[segments - 1], settled[i]);
            published[i] = 0; settled[i] = 0
        }
        unsynced = 0; buried = taken_settles; i = 0
    }
}

inline tell() { confirmed = taken_publishes }

inline sync_directory() {
    d_step {
        for (i : 1 .. MOST_WORDS - 1) { published[i - 1] = published[i]; settled[i - 1] = settled[i] }
        published[MOST_WORDS - 1] = 0; settled[MOST_WORDS - 1] = 0;
        for (m : 0 .. MESSAGES - 1) { place[m] = (place[m] == NOWHERE -> NOWHERE : place[m] - 1) }
        segments--; unlinked--; i = 0; m = 0
    }
}

#define MAY_GO (segments - unlinked > UNTOUCHED)  // the oldest segment
#define LIVES_THERE(m) (place[m] == unlinked)
#define TO_COPY(m) (MAY_GO && LIVES_THERE(m) && !(copies & BIT(m)))

proctype writer() {
    byte i, m;
    bool no_room, must_sync;
    do
    ::
#if defined PUBLISHES_LOOKED_AT_FIRST
        look_at_publishes(0); look_at_publishes(1); look_at_settles(0); look_at_settles(1);
#elif defined LOOKED_AT_SHARD_BY_SHARD
        look_at_settles(0); look_at_publishes(0); look_at_settles(1); look_at_publishes(1);
#else
        look_at_settles(0); look_at_settles(1); look_at_publishes(0); look_at_publishes(1);
#endif
        atomic {
            do  // as far as the scan of the oldest segment comes
            :: TO_COPY(0) -> ADD(copies, BIT(0))
            :: TO_COPY(1) -> ADD(copies, BIT(1))
            :: TO_COPY(2) -> ADD(copies, BIT(2))
            :: break
            od;
            if  // a disk that is full takes only settles, those of what was written before
            :: no_room = false
            :: no_room = true; copies = 0; seen_publishes = 0;
#if !defined SETTLES_LEFT_UNCHECKED
                seen_settles = seen_settles & taken_publishes
#endif
            fi
        }
        if
        :: (seen_publishes & ~taken_publishes) || (seen_settles & ~taken_settles) || copies ->
            // On to a new segment, when all of the last one is there, or not.
            if :: segments < MOST_SEGMENTS -> sync(); segments++ :: true fi;
            write()
        :: else -> seen_publishes = 0; seen_settles = 0
        fi;
#if defined CONFIRM_BEFORE_SYNC
        tell();
#endif
        if :: unsynced -> sync() :: !must_sync fi;  // settles alone may wait
        no_room = false; must_sync = false;
        if :: !unsynced -> tell() :: else fi;
        do
        :: MAY_GO && !LIVES_THERE(0) && !LIVES_THERE(1) && !LIVES_THERE(2) ->
#if !defined REMOVE_BEFORE_SYNC && !defined REMOVE_BEFORE_SETTLES_ARE_SYNCED
            if :: unsynced -> sync(); tell() :: else fi;
#endif
            unlinked++;
#if !defined NO_DIRECTORY_SYNC
            sync_directory()
#endif
        :: else -> break
        od
    od
}

// A kill leaves all that was written, a power cut what the disk has. Nothing ends here: whatever may be left at this
// moment is read as recovery would read it, and the life goes on.
proctype kill() {
    byte i, names, cut, found, known;
    do
    :: d_step {
        for (names : 0 .. BIT(unlinked) - 1) {
            for (cut : 0 .. unsynced) {
                found = 0; known = buried;
                for (i : 0 .. segments + cut - 1) {
                    if
                    :: i >= unlinked || (names & BIT(i)) -> ADD(found, published[i]); TAKE(found, settled[i])
                    :: else
                    fi;
                    ADD(known, settled[i])
                }
                NEVER(LOST, confirmed & ~(settles[0] | settles[1]) & ~found);
                NEVER(GONE, confirmed & ~known & ~found);
                NEVER(RETURNED, known & found)
            }
        }
        i = 0; names = 0; cut = 0; found = 0; known = 0
    }
    od
}

init {
    atomic {
        run publisher(0, 0, 1); run queue(0, 1);  // from one shard to the other,
        run publisher(1, 1, 0); run queue(1, 0);  // back,
        run publisher(2, 0, 0); run queue(2, 0);  // and on one shard
        run writer(); run kill()
    }
}
