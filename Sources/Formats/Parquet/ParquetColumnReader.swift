/// Reads the values of a column in a row group, a page at a time.
struct ParquetColumnReader {
    /// Up to where the file was read.
    private(set) var position: Int
    private let file: ParquetFile
    private let column: ParquetColumn
    /// Where the values are, in words.
    private let place: String
    private let chunk: ParquetMetadata.Chunk
    private let codec: ParquetCodec
    private let end: Int
    /// How many values are still to come behind the page.
    private var left: Int
    private var page: ParquetPage?
    private var dictionary: ParquetDictionary?

    /// How many bytes of a page's head are read at first, and at most.
    private static let (firstHead, longestHead) = (1 << 12, 1 << 24)

    /// Begins a row group.
    ///
    /// - Throws: ``UserFacingError`` when its pages can't lie where the file says, or are packed by an unknown codec.
    init(_ file: ParquetFile, column: Int, rowGroup: Int) throws(UserFacingError) {
        let rows = file.metadata.groups[rowGroup]
        let chunk = rows.chunks[column]
        (self.file, self.column, self.chunk) = (file, file.metadata.columns[column], chunk)
        (left, position) = (chunk.valueCount, chunk.firstPage)
        place = "row group \(rowGroup + 1) of \(file.metadata.groups.count), column \"\(self.column.name)\""
        do throws(ParquetFault) {
            guard !chunk.isElsewhere else { throw .unsupported("its values in another file") }
            codec = try ParquetCodec.numbered(chunk.codec)
            guard chunk.valueCount == rows.rowCount else {
                throw .damaged("it says it has \(chunk.valueCount) values in \(rows.rowCount) rows")
            }
            // Both are sums of what lies in the file, so no number is too large to add.
            guard position >= ParquetFile.magic.count || left == 0, position <= file.dataEnd,
                chunk.size <= file.dataEnd - position
            else { throw .damaged("it says it lies at byte \(position) in \(chunk.size) bytes") }
        } catch {
            throw error.located(path: file.file.path, place)
        }
        end = position + chunk.size
    }

    /// The next value; nil behind the last one.
    ///
    /// - Throws: ``UserFacingError`` that names the row group, the column, and what is wrong.
    mutating func next() throws(UserFacingError) -> ParquetValue? {
        do throws(ParquetFault) {
            while page?.left ?? 0 == 0 {
                try page?.finish()
                page = nil
                guard left > 0 else { return nil }
                try readPage()
            }
            return try page?.next()
        } catch {
            throw error.located(path: file.file.path, place)
        }
    }

    private mutating func readPage() throws(ParquetFault) {
        let header = try readHeader()
        guard header.packedSize <= end - position else {
            throw .damaged(
                "a page at byte \(position) says it has \(header.packedSize) bytes, and \(end - position) follow"
            )
        }
        let body = try bytes(header.packedSize)
        position += header.packedSize
        if let checksum = header.checksum, checksum != ParquetCodec.checksum(body) {
            throw .damaged("the checksum of the page before byte \(position) is not that of its bytes")
        }
        if header.kind == .dictionary {
            guard dictionary == nil, left == chunk.valueCount else {
                throw .damaged("a page of different values is not the first page")
            }
            let encoding = try ParquetEncoding.numbered(header.encoding)
            guard encoding == .plain || encoding == .plainDictionary else {
                throw .damaged("a page of different values has the encoding \(encoding)")
            }
            dictionary = try ParquetDictionary(
                codec.unpack(body, from: 0, count: header.size), count: header.valueCount, column)
            return
        }
        guard header.valueCount <= left else {
            throw .damaged("a page says it has \(header.valueCount) of \(left) values")
        }
        left -= header.valueCount
        page = try ParquetPage(header, body, codec, column, dictionary)
    }

    /// Reads the head of a page, whose length nothing tells.
    private mutating func readHeader() throws(ParquetFault) -> ParquetPageHeader {
        var count = Self.firstHead
        while true {
            let available = min(count, end - position)
            var reader = ThriftReader(try bytes(available))
            do throws(ParquetFault) {
                let header = try ParquetPageHeader(&reader)
                position += reader.position
                return header
            } catch {
                guard case .cutOff = error, available == count, count < Self.longestHead else { throw error }
                count *= 4
            }
        }
    }

    private func bytes(_ count: Int) throws(ParquetFault) -> [UInt8] {
        do throws(UserFacingError) {
            return try file.file.bytes(at: position, count: count)
        } catch {
            throw .file(error)
        }
    }
}
