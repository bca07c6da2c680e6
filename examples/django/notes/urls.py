from django.urls import path

from notes import views

urlpatterns = [
    path("notes/", views.Notes.as_view()),
    path("notes/<int:pk>/", views.OneNote.as_view()),
    path("files/", views.Files.as_view()),
    path("files/<int:pk>/", views.OneFile.as_view()),
    path("whoami/", views.WhoAmI.as_view()),
    # Served by Django and named by no route of proxy.json: the proxy answers 404 for it.
    path("internal/", views.WhoAmI.as_view()),
]
