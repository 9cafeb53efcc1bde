internal import CZlib

/// Bytes packed by zlib, and back.
///
/// Source: RFC 1950.
enum Deflate {
    /// The bytes, packed as well as zlib can.
    static func packed(_ bytes: [UInt8]) -> [UInt8] {
        var count = compressBound(uLong(bytes.count))
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(count)) { room, initialized in
            let status = unsafe compress2(room.baseAddress, &count, bytes, uLong(bytes.count), 9)
            precondition(status == Z_OK, "zlib packs whatever there is memory for")
            initialized = Int(count)
        }
    }

    /// What was packed; nil when these are no packed bytes, or those of more than `most`.
    static func unpacked(_ bytes: [UInt8], most: Int) -> [UInt8]? {
        // No byte stands for more than 1032 (zlib's technical details), so a false size takes no memory.
        let room = min(most, bytes.count * 1032 + 64)
        var (status, count) = (Z_DATA_ERROR, uLong(room))
        let whole = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
            status = unsafe uncompress(buffer.baseAddress, &count, bytes, uLong(bytes.count))
            initialized = status == Z_OK ? Int(count) : 0
        }
        return status == Z_OK ? whole : nil
    }
}
