/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloinferproperties.h"

#include "gst-plugin/yolosettings.h"

#define READY GST_PARAM_MUTABLE_READY
#define PLAYING GST_PARAM_MUTABLE_PLAYING

const YoloProperty yolo_infer_properties[YOLO_INFER_N_PROPERTIES] = {
  [YOLO_INFER_MODEL_FILE] = { "model-file", "Model file",
      "File of a YOLO network, .pt or .onnx; set while playing, it is loaded beside the one that "
      "runs, takes its place between two frames, and is what the property says from then on",
      PLAYING,
      YOLO_STRING (YoloSettings, model_file, NULL) },
  [YOLO_INFER_LABEL_FILE] = { "label-file", "Label file",
      "Text file, UTF-8, with the name of a class on each line (NULL: the model's own names)",
      READY, YOLO_STRING (YoloSettings, label_file, NULL) },
  [YOLO_INFER_DEVICE] = { "device", "Device",
      "What the network runs on: auto (CUDA where it is available, else the CPU), cpu, cpu:N (NUMA "
      "node N), cuda, cuda:N (N as CUDA counts), reference (plain C, slow), or several with commas "
      "between, each of which runs batches, or with plus signs, each of which runs a piece of the "
      "network", READY,
      YOLO_STRING (YoloSettings, device, "auto") },
  [YOLO_INFER_CUDA_DEVICE_ID] = { "cuda-device-id", "CUDA device",
      "Which GPU, as CUDA counts, where device gives no number (unset: that of the frames' CUDA "
      "memory, else 0)", READY,
      YOLO_UINT (YoloSettings, cuda_device_id, 0, G_MAXINT, 0) },
  [YOLO_INFER_HEAD] = { "head", "Head",
      "Which head of a checkpoint that has two, as YOLOv10 and YOLO26 have, runs", READY,
      YOLO_ENUM (YoloSettings, head, yolo_settings_head_type, YOLO_HEAD_AUTO) },
  [YOLO_INFER_PRECISION] = { "precision", "Precision",
      "What the network computes in", READY,
      YOLO_ENUM (YoloSettings, precision, yolo_settings_precision_type, YOLO_PRECISION_AUTO) },
  [YOLO_INFER_CALIBRATION_FILE] = { "calibration-file", "Calibration file",
      "Table that precision=int8 goes by (NULL: what a quantised model says itself, else the "
      "table beside the model: model.int8 for model.onnx, model.pt.int8 for model.pt)", READY,
      YOLO_STRING (YoloSettings, calibration_file, NULL) },
  [YOLO_INFER_CALIBRATE] = { "calibrate", "Calibrate",
      "Table to make out of this stream for precision=int8; meanwhile the network runs in fp32 "
      "on the CPU (NULL: none)", READY,
      YOLO_STRING (YoloSettings, calibrate, NULL) },
  [YOLO_INFER_CALIBRATION_FRAMES] = { "calibration-frames", "Calibration frames",
      "How many frames to calibrate by, spread over the stream, four a second where its length "
      "is not known", READY,
      YOLO_UINT (YoloSettings, calibration_frames, 1, 1000000, 200) },
  [YOLO_INFER_CALIBRATION_METHOD] = { "calibration-method", "Calibration method",
      "How ranges are chosen", READY,
      YOLO_ENUM (YoloSettings, calibration_method, yolo_settings_calibration_method_type,
          YOLO_CALIBRATION_MSE) },
  [YOLO_INFER_MAX_LOSS] = { "max-loss", "Maximum loss",
      "Share of the detections that int8 may change: layers stay in floats until it is less",
      READY, YOLO_DOUBLE (YoloSettings, max_loss, 0, 1, 0.01) },
  [YOLO_INFER_INPUT_SIZE] = { "input-size", "Input size",
      "Size that frames are scaled to for the network: N, WIDTHxHEIGHT, or auto for the "
      "smallest rectangle of the frame's shape (NULL: the size the model was trained or exported "
      "for)", READY,
      YOLO_STRING (YoloSettings, input_size, NULL) },
  [YOLO_INFER_CONFIDENCE_THRESHOLD] = { "confidence-threshold", "Confidence threshold",
      "Detections of less confidence are dropped; classes of a whole picture are not", PLAYING,
      YOLO_DOUBLE (YoloSettings, live.confidence, 0, 1, 0.25) },
  [YOLO_INFER_IOU_THRESHOLD] = { "iou-threshold", "IoU threshold",
      "Of two detections of a class that overlap by more than this (intersection over "
      "union), the less confident one is dropped", PLAYING,
      YOLO_DOUBLE (YoloSettings, live.iou, 0, 1, 0.7) },
  [YOLO_INFER_MAX_DETECTIONS] = { "max-detections", "Maximum detections",
      "How many detections of a frame are kept, by confidence; of classes of a whole picture 5 "
      "at most", PLAYING,
      YOLO_UINT (YoloSettings, live.max_detections, 1, 30000, 300) },
  [YOLO_INFER_CLASS_IDS] = { "class-ids", "Class ids",
      "Classes to find, numbers or names, for instance \"0,2\" or \"person,car\"; as in CSV, a "
      "name that has a comma or is a number stands in double quotes, with its own quotes "
      "doubled (NULL: all)", PLAYING,
      YOLO_STRING (YoloSettings, class_ids, NULL) },
  [YOLO_INFER_AGNOSTIC_NMS] = { "agnostic-nms", "Agnostic NMS",
      "Whether overlapping detections of different classes are dropped too", PLAYING,
      YOLO_BOOLEAN (YoloSettings, live.agnostic, FALSE) },
  [YOLO_INFER_MULTI_LABEL] = { "multi-label", "Multi-label",
      "Whether one place can be objects of several classes, each that is above the threshold, and "
      "not of the best one alone; mAP is measured so, and what is shown is better without. "
      "End-to-end heads do it always", PLAYING,
      YOLO_BOOLEAN (YoloSettings, live.multi_label, FALSE) },
  [YOLO_INFER_BATCH_SIZE] = { "batch-size", "Batch size",
      "Most frames that run together, of all elements that share the engine "
      "(0: a frame of each stream, with all parts that it is looked at in)", PLAYING,
      YOLO_UINT (YoloSettings, batch_size, 0, 32, 0) },
  /* initially a frame never waits for other streams: what arrives while a batch
   * runs is the next batch */
  [YOLO_INFER_BATCH_TIMEOUT] = { "batch-timeout", "Batch timeout",
      "How long a frame waits for others to fill its batch, in ns (0: never; what comes "
      "while one batch runs is the next)", PLAYING,
      YOLO_UINT64 (YoloSettings, batch_timeout, 0, 10 * GST_SECOND, 0) },
  /* initially one frame that runs and one that is ready when it ends: the engine
   * never idles, and more would only add latency */
  [YOLO_INFER_MAX_IN_FLIGHT] = { "max-in-flight", "Maximum in flight",
      "How many frames of this stream can be under way; more fill larger batches and add "
      "latency", READY,
      YOLO_UINT (YoloSettings, max_in_flight, 1, 64, 2) },
  [YOLO_INFER_WEIGHT] = { "weight", "Weight",
      "Share of the frames that the engine has time for, beside those of the other elements that "
      "share it, where these want more than that; it needs a max-in-flight of 2 or more", PLAYING,
      YOLO_DOUBLE (YoloSettings, weight, 0.001, 1000, 1) },
  [YOLO_INFER_MIN_RATE] = { "min-rate", "Minimum rate",
      "Frames a second below which this stream goes before the others, whatever the weights say "
      "(0: none)", PLAYING,
      YOLO_DOUBLE (YoloSettings, min_rate, 0, 1000, 0) },
  [YOLO_INFER_INFERENCE_INTERVAL] = { "inference-interval", "Inference interval",
      "Run the network on every n-th frame", PLAYING,
      YOLO_UINT (YoloSettings, live.interval, 1, G_MAXUINT, 1) },
  [YOLO_INFER_REPEAT_DETECTIONS] = { "repeat-detections", "Repeat detections",
      "Whether frames skipped by inference-interval get the last detections again", PLAYING,
      YOLO_BOOLEAN (YoloSettings, live.repeat, FALSE) },
  [YOLO_INFER_MOTION_GATE] = { "motion-gate", "Motion gate",
      "Whether a frame in which nothing has moved since the last one that the network saw gets the "
      "detections of that one again, without a run of the network", PLAYING,
      YOLO_BOOLEAN (YoloSettings, live.motion_gate, FALSE) },
  [YOLO_INFER_MOTION_THRESHOLD] = { "motion-threshold", "Motion threshold",
      "By how many of 255 levels the mean brightness of a block, of which 160 or fewer lie along "
      "the longer side, must differ for the frame to have moved", PLAYING,
      YOLO_UINT (YoloSettings, live.motion_threshold, 0, 255, 6) },
  [YOLO_INFER_MOTION_MAX_REST] = { "motion-max-rest", "Maximum rest",
      "For how long frames may be without a run of the network because nothing moves, in ns "
      "(0: for ever)", PLAYING,
      YOLO_UINT64 (YoloSettings, live.motion_max_rest, 0, G_MAXINT64, 5 * GST_SECOND) },
  [YOLO_INFER_ROI] = { "roi", "Region of interest",
      "Parts of the frame to look at, with semicolons between: rectangles \"x,y,width,height\" and "
      "polygons \"x1,y1,x2,y2,x3,y3,...\" in pixels, of which what lies outside is dropped (NULL: "
      "all of the frame)", PLAYING,
      YOLO_STRING (YoloSettings, roi, NULL) },
  [YOLO_INFER_TILES] = { "tiles", "Tiles",
      "Tiles that the frame, or each roi, is looked at in besides as a whole, \"COLUMNSxROWS\", so "
      "that small objects of large frames are found (NULL: none)", READY,
      YOLO_STRING (YoloSettings, tiles, NULL) },
  [YOLO_INFER_TILE_OVERLAP] = { "tile-overlap", "Tile overlap",
      "Share of a tile that its neighbour shows as well; objects up to that size are whole in one",
      PLAYING, YOLO_DOUBLE (YoloSettings, live.tile_overlap, 0, 0.9, 0.2) },
  [YOLO_INFER_INFERENCE_REGION] = { "inference-region", "Inference region",
      "What the network looks at", READY,
      YOLO_ENUM (YoloSettings, inference_region, yolo_settings_inference_region_type,
          YOLO_INFERENCE_FRAME) },
  [YOLO_INFER_OBJECT_CLASS] = { "object-class", "Object class",
      "Names of the classes of objects that inference-region=roi-list looks at, for instance "
      "\"car,truck\", with quotes as in class-ids (NULL: all)", PLAYING,
      YOLO_STRING (YoloSettings, object_class, NULL) },
  [YOLO_INFER_OBJECT_PADDING] = { "object-padding", "Object padding",
      "Share of an object's width and height that the network sees around it on each side", PLAYING,
      YOLO_DOUBLE (YoloSettings, live.object_padding, 0, 2, 0) },
  [YOLO_INFER_OBJECT_MIN_SIZE] = { "object-min-size", "Object minimum size",
      "Pixels that an object must be wide, and high, to be looked at", PLAYING,
      YOLO_UINT (YoloSettings, live.object_min_size, 0, G_MAXINT, 0) },
  [YOLO_INFER_RECLASSIFY_INTERVAL] = { "reclassify-interval", "Reclassify interval",
      "Frames after which the network looks at a tracked object again; between them it has what "
      "was found last (0: never again; objects without a track are always looked at)", PLAYING,
      YOLO_UINT (YoloSettings, live.reclassify_interval, 0, G_MAXUINT, 1) },
  [YOLO_INFER_ORIENTATION] = { "orientation", "Orientation",
      "How the network turns frames upright, as videoflip's video-direction (auto: as the "
      "stream's tags say; detections are in the frame's own pixels)", PLAYING,
      YOLO_ENUM (YoloSettings, live.orientation, gst_video_orientation_method_get_type,
          GST_VIDEO_ORIENTATION_AUTO) },
  [YOLO_INFER_THREADS] = { "threads", "Threads",
      "CPU threads (0: one per core)", READY,
      YOLO_UINT (YoloSettings, threads, 0, 1024, 0) },
  [YOLO_INFER_ENGINE_ID] = { "engine-id", "Engine id",
      "Elements of the same id share an engine; the first one's model, device and precision "
      "count (NULL: those share one that agree in all three)", READY,
      YOLO_STRING (YoloSettings, engine_id, NULL) },
  [YOLO_INFER_UNIQUE_ID] = { "unique-id", "Unique id",
      "Tells the detections of several inference elements apart (model_id of the metadata)", READY,
      YOLO_UINT (YoloSettings, unique_id, 0, G_MAXINT, 0) },
};
