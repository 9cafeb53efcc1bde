internal import CKernels

extension CPUEngine {
    /// See ``Engine/rotate(_:cosine:sine:shape:back:)``.
    public func rotate(
        _ qkv: CPUBuffer, cosine: CPUBuffer, sine: CPUBuffer, shape: AttentionShape, back: Bool
    ) {
        let half = shape.headSize / 2
        let heads = shape.heads + shape.keyValueHeads
        pool.forEachPiece(.rotary, of: shape.rows, cost: heads * shape.headSize) { rows in
            for row in rows {
                let angles = row % shape.time * half
                unsafe ck_rotate(
                    qkv.pointer + row * shape.width, cosine.pointer + angles, sine.pointer + angles, 1, heads,
                    shape.headSize, shape.width, back ? -1 : 1)
            }
        }
    }

    /// See ``Engine/attention(_:lse:qkv:first:shape:)``.
    public func attention(
        _ out: CPUBuffer, lse: CPUBuffer, qkv: CPUBuffer, first: ArraySlice<Int32>, shape: AttentionShape
    ) {
        let tile = Int(CK_ATTENTION_TILE)
        let tiles = (shape.time + tile - 1) / tile
        var attention = ck_attention(shape)
        let size = unsafe ck_attention_scratch(&attention)
        let scratch = scratch(count: size * threads)
        unsafe first.withUnsafeBufferPointer { first in
            guard let first = first.baseAddress else { return }
            pool.run(.attention, shape.batch * shape.heads * tiles) { task, thread in
                let (sequence, rest) = (task / (shape.heads * tiles), task % (shape.heads * tiles))
                let (head, start) = (rest / tiles, rest % tiles * tile)
                let row = sequence * shape.time
                var attention = attention
                unsafe ck_attention_forward(
                    out.pointer + row * shape.outputWidth, lse.pointer + row * shape.heads,
                    qkv.pointer + row * shape.width, first + row, &attention, head, start,
                    min(start + tile, shape.time), scratch.pointer + thread * size)
            }
        }
    }

    /// See ``Engine/attentionBackward(dqkv:dOut:qkv:out:lse:first:shape:)``.
    public func attentionBackward(
        dqkv: CPUBuffer, dOut: CPUBuffer, qkv: CPUBuffer, out: CPUBuffer, lse: CPUBuffer,
        first: ArraySlice<Int32>, shape: AttentionShape
    ) {
        var attention = ck_attention(shape)
        let size = unsafe ck_attention_scratch(&attention)
        let scratch = scratch(count: size * threads)
        unsafe first.withUnsafeBufferPointer { first in
            guard let first = first.baseAddress else { return }
            pool.run(.attention, shape.batch * shape.keyValueHeads) { task, thread in
                let row = task / shape.keyValueHeads * shape.time
                var attention = attention
                unsafe ck_attention_backward(
                    dqkv.pointer + row * shape.width, dOut.pointer + row * shape.outputWidth,
                    qkv.pointer + row * shape.width, out.pointer + row * shape.outputWidth,
                    lse.pointer + row * shape.heads, first + row, &attention, task % shape.keyValueHeads,
                    scratch.pointer + thread * size)
            }
        }
    }
}

extension ck_attention {
    /// The kernels' view of `shape`; scores are scaled by 1 / √D.
    init(_ shape: AttentionShape) {
        self.init(
            time: shape.time, heads: shape.heads, kv_heads: shape.keyValueHeads, size: shape.headSize,
            stride: shape.width, scale: 1 / Float(shape.headSize).squareRoot())
    }
}
