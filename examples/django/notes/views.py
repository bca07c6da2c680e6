"""Notes and files; each user sees their own."""

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import generics, serializers, status
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from notes.models import Note, Upload


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["id", "text"]


class Notes(generics.ListCreateAPIView):
    serializer_class = NoteSerializer

    def get_queryset(self):
        return Note.objects.filter(owner=self.request.user).order_by("id")

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user)


class OneNote(generics.RetrieveAPIView):
    serializer_class = NoteSerializer

    def get_queryset(self):
        return Note.objects.filter(owner=self.request.user)


class Files(APIView):
    parser_classes = [MultiPartParser]

    def post(self, request):
        if "file" not in request.FILES:
            raise serializers.ValidationError({"file": "a multipart part of this name is needed"})
        upload = Upload.objects.create(owner=request.user, file=request.FILES["file"])
        answer = {"id": upload.id, "bytes": upload.file.size}
        return Response(answer, status=status.HTTP_201_CREATED)


class OneFile(APIView):
    def get(self, request, pk):
        upload = get_object_or_404(Upload, pk=pk, owner=request.user)
        # Without a length the server sends it in chunks, as long exports do.
        return StreamingHttpResponse(upload.file.chunks(), content_type="application/octet-stream")


class WhoAmI(APIView):
    """Who the request speaks for, and every field that looks like a claim to be someone."""

    def get(self, request):
        marks = ("USER", "FORWARDED", "JWT", "AUTH", "SSL", "REAL_IP")
        fields = {name: value for name, value in request.META.items()
                  if name.startswith("HTTP_") and any(mark in name for mark in marks)}
        return Response({"user": request.user.get_username(), "fields": fields})
