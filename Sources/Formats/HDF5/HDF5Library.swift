internal import CHDF5
internal import CSystemCalls

/// libhdf5 as a whole: one lock, since it is not safe on several threads, and its own words for what went wrong.
enum HDF5Library {
    /// Made ready once, with its loading of plug-ins off.
    private static let isReady = CHDF5Initialize() >= 0

    /// Does something with the library while nobody else does; may be nested.
    static func locked<Result: ~Copyable, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        cs_lock_library()
        defer { cs_unlock_library() }
        _ = isReady
        CHDF5Silence()
        return try body()
    }

    /// The innermost words of the library's last error, which is forgotten then.
    static func takeError() -> String {
        var words = [CChar](repeating: 0, count: 256)
        unsafe words.withUnsafeMutableBufferPointer { buffer in
            if let start = buffer.baseAddress { unsafe CHDF5TakeError(start) }
        }
        let text = String(decoding: words.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.isEmpty ? "the library gives no reason" : text
    }
}

/// Something that the library has open, closed when the value goes away.
struct HDF5Handle: ~Copyable, Sendable {
    /// The library's number for it.
    let id: hid_t

    /// Takes over what the library has opened; nil when it could not.
    init?(_ id: hid_t) {
        guard id >= 0 else { return nil }
        self.id = id
    }

    deinit {
        let id = id
        HDF5Library.locked { CHDF5Close(id) }
    }
}
