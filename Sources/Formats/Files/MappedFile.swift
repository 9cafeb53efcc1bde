internal import Glibc

/// A file's bytes in memory, read by the system as they are looked at.
///
/// The file must not be cut off while it is mapped; it may be renamed or removed.
@safe package final class MappedFile: Sendable {
    /// Where it was opened.
    package let path: String
    /// Its size in bytes.
    package let count: Int
    nonisolated(unsafe) private let base: UnsafeRawPointer

    /// Maps an open file that is not empty.
    package init(_ file: InputFile) throws(UserFacingError) {
        let address = unsafe mmap(nil, max(file.size, 1), PROT_READ, MAP_PRIVATE, file.descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw .file(.read, file.path)
        }
        unsafe base = UnsafeRawPointer(address)
        path = file.path
        count = file.size
    }

    deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: base), max(count, 1)) }

    /// The integer at an offset, little endian; the offset need not be aligned.
    @inline(__always)
    package func integer<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: Value.Type) -> Value
    {
        precondition(offset >= 0 && offset + MemoryLayout<Value>.size <= count, "beyond the file's end")
        return unsafe Value(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
